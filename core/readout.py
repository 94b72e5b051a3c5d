"""From the residual stream to logits: final norm, unembedding and subtraction, in float32 whatever the model's dtype.

A bf16 logit between 16 and 32 moves in steps of 0.125, as large as many effects looked for here. A model in
float64 is read in float64. The logit difference is linear in the residual once the norm's scale is fixed:
logit_diff = s · (x − mean(x) if LayerNorm) · d + bias, with d = w ⊙ (W_U[answer] − W_U[original]).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from core.models.turns import take_turn

_CHUNK_VOCAB = 16_384


@dataclass(frozen=True, eq=False)
class Readout:
    """A model's final norm and unembedding.

    weight: the norm's effective weight (1 + stored weight in Gemma); norm_bias: LayerNorm's bias or None.
    centred: whether the norm subtracts the mean; eps: its epsilon.
    W_U, b_U: the unembedding in the model's own dtype.
    dtype: of the arithmetic.
    """

    weight: Float[Tensor, " d_model"]
    norm_bias: Float[Tensor, " d_model"] | None
    centred: bool
    eps: float
    W_U: Float[Tensor, "d_model vocab"]
    b_U: Float[Tensor, " vocab"] | None
    dtype: torch.dtype

    def centre(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        """The linear part of the norm that precedes its scale, in the readout's dtype."""
        x = x.to(self.dtype)
        return x - x.mean(-1, keepdim=True) if self.centred else x

    def scale(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... 1"]:
        """1/rms(x), or 1/std(x) for a LayerNorm."""
        return (self.centre(x).pow(2).mean(-1, keepdim=True) + self.eps).rsqrt()

    def normalized(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        """The final norm."""
        y = self.centre(x) * self.scale(x) * self.weight
        return y if self.norm_bias is None else y + self.norm_bias

    def logits(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... vocab"]:
        """Every token's logit before a soft cap; the unembedding is upcast a slice at a time."""
        y = self.normalized(x)
        parts = [y @ columns.to(self.dtype) for columns in self.W_U.split(_CHUNK_VOCAB, dim=-1)]
        logits = torch.cat(parts, dim=-1)
        return logits if self.b_U is None else logits + self.b_U.to(self.dtype)

    def logits_of(self, x: Float[Tensor, "... d_model"], tokens: list[int]) -> Float[Tensor, "... token"]:
        """The same of some tokens alone."""
        logits = self.normalized(x) @ self.W_U[:, tokens].to(self.dtype)
        return logits if self.b_U is None else logits + self.b_U[tokens].to(self.dtype)

    def projection(self, answer: int, original: int) -> Float[Tensor, " d_model"]:
        """d: what a component of the scaled residual is projected on."""
        columns = self.W_U[:, [answer, original]].to(self.dtype)
        return self.weight * (columns[:, 0] - columns[:, 1])

    def bias(self, answer: int, original: int) -> float:
        """The part of the logit difference that no component writes: the norm's and the unembedding's bias."""
        total = 0.0
        if self.norm_bias is not None:
            columns = self.W_U[:, [answer, original]].to(self.dtype)
            total += float(self.norm_bias @ (columns[:, 0] - columns[:, 1]))
        if self.b_U is not None:
            total += float(self.b_U[answer].to(self.dtype) - self.b_U[original].to(self.dtype))
        return total

    def logit_diff(self, x: Float[Tensor, "... d_model"], answer: int, original: int) -> Float[Tensor, "..."]:
        """logit[answer] − logit[original] of final residuals, before a soft cap, without the other logits."""
        y = self.centre(x) * self.scale(x)
        return y @ self.projection(answer, original) + self.bias(answer, original)


def readout(bridge: TransformerBridge) -> Readout:
    """The readout of a raw bridge, whose turn it then is."""
    take_turn(bridge)
    norm, module = bridge.ln_final, bridge.ln_final.original_component
    dtype = dtype_of(bridge)
    weight = module.weight.detach().to(dtype)
    b_U = bridge.b_U
    return Readout(
        weight=1 + weight if norm.uses_weight_offset else weight,
        norm_bias=None if norm.uses_rms_norm or module.bias is None else module.bias.detach().to(dtype),
        centred=not norm.uses_rms_norm,
        eps=_epsilon(module, bridge),
        W_U=bridge.W_U.detach(),
        b_U=None if b_U is None or not b_U.any() else b_U.detach(),
        dtype=dtype,
    )


def dtype_of(bridge: TransformerBridge) -> torch.dtype:
    """What its residuals are read in."""
    return torch.float64 if bridge.W_U.dtype == torch.float64 else torch.float32


def soft_cap(bridge: TransformerBridge) -> float | None:
    """The bound that the model sets its logits, where it sets one."""
    cap = getattr(bridge.cfg, "output_logits_soft_cap", None)
    return float(cap) if cap is not None and cap > 0 else None


def capped(logits: Tensor, bridge: TransformerBridge) -> Tensor:
    """Logits as the model itself gives them."""
    cap = soft_cap(bridge)
    return logits if cap is None else cap * torch.tanh(logits / cap)


def _epsilon(module: torch.nn.Module, bridge: TransformerBridge) -> float:
    for name in ("variance_epsilon", "eps"):
        if hasattr(module, name):
            return float(getattr(module, name))
    return float(bridge.cfg.eps)


def rounding(bridge: TransformerBridge) -> float:
    """What an identity's residual may be, in logits of the usual size (some tens), in the model's dtype."""
    dtype = bridge.W_U.dtype
    # Hugging Face's norms compute in float32 whatever the dtype, and here one stands between the heads and the stream.
    if dtype == torch.float64 and hasattr(bridge.blocks[0], "ln1_post"):
        return 1e-6
    return {torch.float64: 1e-10, torch.float32: 1e-4, torch.float16: 0.05, torch.bfloat16: 0.4}[dtype]
