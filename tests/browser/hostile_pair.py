"""A pair whose tokens and title are markup: what a stranger can put in front of a viewer."""

from __future__ import annotations

from pathlib import Path

from tests.random_models import fine_tuned, random_model
from tests.random_tokenizers import byte_level

IMAGE = "<img src=x onerror=parent.ran=1>"
TITLE = f"Hostile {IMAGE}</script><script>parent.ran=1</script> **x** [a](javascript:parent.ran=1)"
TOKENS = (IMAGE, "</script>", "<script>parent.ran=1</script>", "&lt;b&gt;")
PROMPT = f"<s>Rephrase{IMAGE} all</script>:<script>parent.ran=1</script> the quick&lt;b&gt; fox<s>: The"
PARAMETERS = {"pair": "hostile", "prompt": PROMPT, "original": " quick", "answer": " swift"}


def write_pair(folder: Path) -> Path:
    """Both models in Hugging Face's format, and the file that lists them as the pair `hostile`; returns that file."""
    tokenizer = byte_level()
    tokenizer.add_tokens(list(TOKENS))
    base = random_model("llama", groups=2)
    for name, model in (("base", base), ("instruct", fine_tuned(base))):
        model.float().resize_token_embeddings(len(tokenizer))
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    listed = folder / "pairs.toml"
    paths = "\n".join(f'{name} = "{folder / name}"' for name in ("base", "instruct"))
    listed.write_text(f'[[pair]]\nid = "hostile"\ntitle = "{TITLE}"\ndtype = "float32"\n{paths}\n')
    return listed
