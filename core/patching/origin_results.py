"""Changed here, or only carried here: what fine-tuning changed in a component against what the component passes on.

For every component, in one direction, the effect of
- **changed**: the donor's weights in it, the recipient's own stream coming in (`w_head`, `w_attn`, `w_mlp`);
- **carried**: its own weights on the donor's stream (`z`, `attn_out`, `mlp_out` of the source CARRIED);
- **patched**: both at once, the donor's activation (`z`, `attn_out`, `mlp_out`).
interaction = patched − changed − carried. A z patch is written out by the recipient's own W_O: where W_O was changed,
`changed` knows of it and `patched` does not. Nothing here knows torch, and pages may compose what they have asked.

**Early × late**: the first L layers (and the embedding) of one model, the rest (and the unembedding) of the other: what
a patch of resid_pre at L over all positions is. BB and II are the plain runs; IB is INSTRUCT early and BASE late.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.patching.gap import Gap
from core.patching.results import Sweep

# The activation that a component's weights decide.
PATCHED = {"w_head": "z", "w_attn": "attn_out", "w_mlp": "mlp_out"}
SHARE = 0.9  # of the gap, that a block of layers shall give


@dataclass(frozen=True)
class Origin:
    """Three sweeps of the same components in one direction, as said above; axes are theirs."""

    changed: Sweep
    carried: Sweep
    patched: Sweep

    @property
    def interaction(self) -> np.ndarray:
        """In logits: what neither the weights nor the stream does alone."""
        effect: np.ndarray = self.patched.effect - self.changed.effect - self.carried.effect
        return effect

    @property
    def not_changed(self) -> np.ndarray:
        """In logits, patched − changed: what the map of activations shows and that of weights does not."""
        effect: np.ndarray = self.patched.effect - self.changed.effect
        return effect

    @property
    def complete(self) -> bool:
        return self.changed.complete and self.carried.complete and self.patched.complete

    def to_frame(self) -> pd.DataFrame:
        """direction, site (of the weights), layer, head, then the effects, in logits, and their scores."""
        frame = self.changed.to_frame()[["direction", "site", "layer", "head"]]
        gap = self.changed.gap
        effects = {
            "changed": self.changed.effect,
            "carried": self.carried.effect,
            "patched": self.patched.effect,
            "interaction": self.interaction,
        }
        scores = {f"{name}_score": gap.score(effect + gap.recipient) for name, effect in effects.items()}
        return frame.assign(**{name: values.ravel() for name, values in (effects | scores).items()})


@dataclass(frozen=True)
class EarlyLate:
    """Early × late at every boundary L, from the sweeps of resid_pre over all positions, INSTRUCT → BASE and back.

    Arrays have the axis (boundary,): layers below it are early.
    """

    there: Sweep
    back: Sweep

    @property
    def gap(self) -> Gap:
        return self.there.gap

    @property
    def bb(self) -> float:
        return self.gap.recipient

    @property
    def ii(self) -> float:
        return self.gap.donor

    @property
    def ib(self) -> np.ndarray:
        """logit_diff with INSTRUCT early and BASE late."""
        return self.there.logit_diff[:, 0]

    @property
    def bi(self) -> np.ndarray:
        return self.back.logit_diff[:, 0]

    @property
    def early(self) -> np.ndarray:
        """Main effect of early layers, in logits: INSTRUCT's for BASE's, averaged over both late halves."""
        effect: np.ndarray = ((self.ib - self.bb) + (self.ii - self.bi)) / 2
        return effect

    @property
    def late(self) -> np.ndarray:
        effect: np.ndarray = ((self.bi - self.bb) + (self.ii - self.ib)) / 2
        return effect

    @property
    def interaction(self) -> np.ndarray:
        """In logits: how much more INSTRUCT's late layers do behind INSTRUCT's early ones; early + late = II − BB."""
        effect: np.ndarray = self.ii - self.ib - self.bi + self.bb
        return effect

    @property
    def up_to(self) -> np.ndarray:
        """Score of INSTRUCT's embedding and layers below the boundary, in BASE."""
        return self.gap.score(self.ib)

    @property
    def onwards(self) -> np.ndarray:
        """Score of INSTRUCT's layers from the boundary on and its unembedding, in BASE."""
        return self.gap.score(self.bi)

    def to_frame(self) -> pd.DataFrame:
        boundary = np.arange(len(self.ib))
        names = ("bb", "ib", "bi", "ii", "early", "late", "interaction", "up_to", "onwards")
        return pd.DataFrame({"boundary": boundary} | {name: getattr(self, name) for name in names})


@dataclass(frozen=True)
class Block:
    """The smallest block of whole layers whose weights, from the donor, give at least `share` of the gap.

    layers: (first, last), both in it; None where all layers together do not, or where there is no gap to share.
    logit_diff: with it patched; shorter: the highest score of any block one layer shorter (of all layers, where they
    are not enough), NaN where there is none.
    """

    gap: Gap
    share: float
    layers: tuple[int, int] | None
    logit_diff: float
    shorter: float

    @property
    def score(self) -> float:
        return float(self.gap.score(np.array(self.logit_diff)))

    def to_frame(self) -> pd.DataFrame:
        first, last = self.layers or (None, None)
        columns = {"direction": self.gap.direction, "share": self.share, "first": first, "last": last}
        columns |= {"logit_diff": self.logit_diff, "score": self.score, "shorter": self.shorter}
        return pd.DataFrame([columns])


@dataclass(frozen=True)
class WeightNorms:
    """‖W_INSTRUCT − W_BASE‖ / ‖W_BASE‖, as `core.patching.weight_norms` says: (layer, head), (layer,) and (layer,)."""

    heads: np.ndarray
    attention: np.ndarray
    mlp: np.ndarray
