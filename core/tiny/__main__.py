"""`python -m core.tiny [--out DIR] [--seed N]`: make the pair, measure it, write its card; exit 1 if it falls short."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch starts its threads
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import argparse  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

import torch  # noqa: E402
import transformers  # noqa: E402
from transformers import AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerFast  # noqa: E402
from transformers.utils import logging  # noqa: E402

from core.tiny.card import FOLDER, write_card  # noqa: E402
from core.tiny.evaluate import PATCHED_PROMPTS, attention_to, measure, missed, patch_scores  # noqa: E402
from core.tiny.heldout import COUNTS, PATH, POST_PROMPT, make_prompts, write_prompts  # noqa: E402
from core.tiny.sentences import Policies, make_policies  # noqa: E402
from core.tiny.tokenizer import build_tokenizer  # noqa: E402
from core.tiny.train import BasePlan, Shape, TunePlan, train_base, tune_instruct  # noqa: E402
from core.tiny.words import content_words  # noqa: E402


def _report(line: str) -> None:
    print(f"{time.process_time():7.0f} s  {line}", flush=True)


def _save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Half precision on disk; the config says float32, so that loading without a dtype runs in float32."""
    model.half().save_pretrained(folder)
    model.float().config.dtype = torch.float32
    model.config.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    tokenizer.save_pretrained(folder)
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": tokenizer.bos_token,
        "eos_token": tokenizer.eos_token,
        "model_max_length": tokenizer.model_max_length,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def _load(folder: Path) -> LlamaForCausalLM:
    return LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def _train(seed: int, policies: Policies, out: Path) -> None:
    tokenizer = build_tokenizer(seed, policies)
    _report(f"tokenizer of {len(tokenizer)} tokens")
    base = train_base(seed, tokenizer, policies, Shape(), BasePlan(), _report)
    instruct = tune_instruct(seed, base, tokenizer, policies, TunePlan(), _report)
    _save(base, tokenizer, out / "base")
    _save(instruct, tokenizer, out / "instruct")


def _measure(seed: int, policies: Policies, out: Path) -> list[str]:
    """Measure the stored files, write prompts and card; what is missed comes back."""
    prompts = make_prompts(policies)
    write_prompts(prompts, out / PATH.name)
    tokenizer = AutoTokenizer.from_pretrained(out / "base")
    base, instruct = _load(out / "base"), _load(out / "instruct")
    figures = measure(base, instruct, tokenizer, prompts)
    sample = [prompt for prompt in prompts if prompt.kind == "unseen_combination"][:PATCHED_PROMPTS]
    shape = Shape()
    facts = {
        "seed": seed,
        "shape": f"{shape.layers} layers of {shape.heads} heads ({shape.kv_heads} key-value heads) of"
        f" {shape.head_width} dimensions, width {shape.width}, {len(tokenizer)} tokens,"
        f" {base.num_parameters():,} parameters.",
        "versions": f"torch {torch.__version__}, transformers {transformers.__version__}",
        "minutes": time.process_time() / 60,
        "words": len(content_words()),
        "quick": "swift",
    }
    models = {"BASE": base, "INSTRUCT": instruct}
    attention = {name: attention_to(model, tokenizer, POST_PROMPT) for name, model in models.items()}
    scores = patch_scores(base, instruct, tokenizer, sample)
    write_card(out, facts, {"post": 1, **COUNTS}, figures, scores, attention)
    return missed(figures)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m core.tiny", description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER, help="where base/, instruct/ and the card go")
    parser.add_argument("--seed", type=int, default=0, help="everything random follows from it")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    policies = make_policies()
    _train(options.seed, policies, options.out)
    failures = _measure(options.seed, policies, options.out)
    for failure in failures:
        print("missed:", failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
