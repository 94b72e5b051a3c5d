"""What a patch does directly: the change of one component's output at END, read off the recipient's last residual.

Of a patch of a head's `z` the recipient's own W_O writes the donor's z: c_patched = z_donor W_O(recipient); of `result`
it is z_donor W_O(donor); of `attn_out` and `mlp_out` the donor's own. Whatever a patch changes before END reaches END
by later layers only, so it has no part in this. With d the recipient's projection (`core.readout`):
- frozen: s·(c_patched − c_recipient)·d, s the recipient's final scale; additive over components;
- recomputed: the recipient's final norm on its residual with the one component replaced.
Where attention's output passes a norm before it joins the stream (Gemma-2 and -3, OLMo-2), a head's share passes it
too: frozen with its recorded scale, recomputed with the one that the whole output then has. Logit differences are those
before a soft cap, as everywhere. Read off two recorded runs: nothing runs.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from core.attention import scaled_projection
from core.attribution import through_post_norm
from core.experiment import InputError
from core.models.quantized import head_weights
from core.patching.control_results import WRITTEN, Direct
from core.patching.growing_pass import shape_of
from core.patching.plan import Direction, positions_of, unit
from core.patching.sweeps import Recordings, gap_of, recipient_and_donor
from core.prompt import AnsweredPrompt
from core.readout import readout
from core.recording import Recording


def direct_effects(
    recordings: Recordings,
    prompt: AnsweredPrompt,
    site: str = "z",
    direction: Direction = "instruct_to_base",
    positions: str | int = "all",
) -> Direct:
    """Of every patch of a sweep of the site; zero everywhere where the positions do not hold END."""
    if site not in WRITTEN:
        raise InputError(f"{site!r} is not written into the residual stream; choose {', '.join(WRITTEN)}", "site")
    recipient, _ = recipient_and_donor(recordings, direction)
    shape = shape_of(recipient)
    at = positions_of(positions, shape)
    frozen, recomputed = np.zeros((2, shape.layers, shape.width(site)))
    if not at or shape.positions - 1 in at:
        for layer in range(shape.layers):
            frozen[layer], recomputed[layer] = direct_of_layer(recordings, prompt, layer, site, direction)
    return Direct(site, positions, gap_of(recordings, prompt, direction), frozen, recomputed)


@torch.no_grad()
def direct_of_layer(
    recordings: Recordings, prompt: AnsweredPrompt, layer: int, site: str, direction: Direction
) -> tuple[np.ndarray, np.ndarray]:
    """(frozen, recomputed) of one layer's columns."""
    recipient, donor = recipient_and_donor(recordings, direction)
    reader = readout(recipient.bridge)
    x = recipient.final_residual[-1].to(reader.dtype)
    if unit(site) == "head":
        linear, whole = _heads_changes(recipient, donor, layer, site, x)
    else:
        own, taken = (each.layer(layer, f"hook_{site}")[-1:].to(x) for each in (recipient, donor))
        linear = whole = taken - own
    frozen = linear @ scaled_projection(recipient, reader, reader, prompt)
    ends = reader.logit_diff(torch.cat([x[None], x + whole]), prompt.answer_id, prompt.original_id)
    return _numbers(frozen), _numbers(ends[1:] - ends[0])


def _heads_changes(
    recipient: Recording, donor: Recording, layer: int, site: str, like: Tensor
) -> tuple[Float[Tensor, "head d_model"], Float[Tensor, "head d_model"]]:
    """What each head's patch adds to the stream at END, with the scale of a norm in between frozen, and as it becomes.

    like: gives device and dtype.
    """
    block = recipient.bridge.blocks[layer]
    W_O = head_weights(block.attn, "W_O").to(like)
    own, taken = (each.layer(layer, "attn.hook_z")[-1].to(like) for each in (recipient, donor))
    before = torch.einsum("hd,hdm->hm", own, W_O)
    others = head_weights(donor.bridge.blocks[layer].attn, "W_O").to(like) if site == "result" else W_O
    change = torch.einsum("hd,hdm->hm", taken, others) - before
    linear = through_post_norm(recipient, layer, -1, change)
    if not hasattr(block, "ln1_post"):
        return linear, linear
    whole = before.sum(0) if block.attn.b_O is None else before.sum(0) + block.attn.b_O.to(like)
    normed = block.ln1_post.original_component(torch.cat([whole[None], whole + change]))
    return linear, normed[1:] - normed[0]


def _numbers(x: Tensor) -> np.ndarray:
    return x.double().cpu().numpy()
