"""What one sender's change makes of a layer's queries, keys and values, all else the recipient's own.

q (k, v) = W·norm(x + Δ): x the recipient's stream before the layer, Δ what the sender adds to it in the donor's run
minus what it adds in the recipient's, at all positions. A head's Δ is (z_donor − z_recipient) W_O of the **recipient**,
as in an output patch; where attention's output passes a norm before it joins the stream, through its recorded scale. Of
a whole attention, an MLP and the embedding Δ is the difference of what they wrote, by whichever weights. So embedding,
attentions and MLPs add up to the whole difference of the two streams, and heads to their attention where the models
share W_O.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from core.attribution import through_post_norm
from core.models.quantized import head_weights
from core.patching.senders import Sender
from core.patching.weights import module_of, through
from core.recording import Recording

_WRITTEN = {"attn": "hook_attn_out", "mlp": "hook_mlp_out", "embed": "hook_resid_pre"}


@dataclass(frozen=True, eq=False)
class Sent(Recording):
    """The recipient's recording whose q, k and v are read with a sender's change in the input of their layer."""

    donor: Recording = field(kw_only=True)
    sender: Sender = field(kw_only=True)

    @torch.no_grad()
    def layer(self, layer: int, name: str) -> Float[Tensor, "pos ..."]:
        own = super().layer(layer, name)
        delta = change(self, self.donor, self.sender)
        if not delta.any():
            return own
        block = self.bridge.blocks[layer]
        norm, matrix = module_of(block, "ln1"), module_of(block, name.replace("hook_", ""))
        assert matrix is not None
        x = super().layer(layer, "hook_resid_pre") + delta
        projected: Tensor = through(matrix, x if norm is None else through(norm, x)).unflatten(-1, own.shape[1:])
        return projected


def change(recipient: Recording, donor: Recording, sender: Sender) -> Float[Tensor, "pos d_model"]:
    """Δ: what the sender adds to the stream in the donor minus what it adds in the recipient, as said above."""
    # Past `Sent`, which reads activations another way.
    name = f"blocks.{sender.layer}.{_WRITTEN.get(sender.kind, 'attn.hook_z')}"
    own = recipient.activations[name][0]
    difference = donor.activations[name][0].to(own) - own
    if sender.kind != "head":
        return difference
    W_O = head_weights(recipient.bridge.blocks[sender.layer].attn, "W_O")[sender.head]
    return through_post_norm(recipient, sender.layer, slice(None), difference[:, sender.head] @ W_O.to(own))
