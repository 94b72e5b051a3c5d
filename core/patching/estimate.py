"""Attribution patching: every head's patch effect estimated from one backward pass of the recipient.

estimate = Σ over positions (donor activation − recipient activation) · ∂ logit_diff / ∂ activation, the first-order
Taylor term of the patch over all positions. It is an estimate: wrong where the response bends, as it does in attention
patterns, norms and gated MLPs. TransformerLens' `attribution_patching` computes the same between two prompts of one
model; here the activations come from two models, so only the gradient is the recipient's.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from transformer_lens.hook_points import HookPoint

from core.experiment import InputError
from core.models.turns import take_turn
from core.passes import Hook, run_with_hooks
from core.patching.cells import HOOKS, from_source
from core.patching.plan import Direction
from core.patching.results import Estimate
from core.patching.sweeps import Recordings, gap_of, recipient_and_donor
from core.prompt import AnsweredPrompt
from core.readout import readout
from core.recording import Recording

ESTIMATED = ("z", "v", "mlp_out")


def estimate(
    recordings: Recordings,
    prompt: AnsweredPrompt,
    sites: tuple[str, ...] = ESTIMATED,
    direction: Direction = "instruct_to_base",
) -> dict[str, Estimate]:
    """Site → estimate of its sweep over all positions; one forward and one backward pass for all of them."""
    unknown = next((site for site in sites if site not in ESTIMATED), None)
    if unknown is not None:
        raise InputError(f"there is no estimate for {unknown!r}; choose of {', '.join(ESTIMATED)}", "site")
    recipient, donor = recipient_and_donor(recordings, direction)
    gap = gap_of(recordings, prompt, direction)
    places = [(site, layer) for site in sites for layer in range(recipient.bridge.cfg.n_layers)]
    gradients = _gradients(recipient, places, (prompt.answer_id, prompt.original_id))
    effects: dict[str, list[np.ndarray]] = {site: [] for site in sites}
    for (site, layer), gradient in zip(places, gradients):
        own, taken = (from_source(r, layer, site, gradient).double() for r in (recipient, donor))
        product = (taken - own) * gradient.double()
        effect = product.sum((0, -1)) if product.ndim == 3 else product.sum().reshape(1)
        effects[site].append(effect.cpu().numpy())
    return {site: Estimate(site, gap, np.stack(rows)) for site, rows in effects.items()}


def _gradients(recipient: Recording, places: list[tuple[str, int]], candidates: tuple[int, int]) -> list[Tensor]:
    """∂ logit_diff / ∂ activation of the recipient's run, without the batch axis, for each (site, layer)."""
    bridge = recipient.bridge
    kept: dict[tuple[str, int], Tensor] = {}
    final: list[Tensor] = []

    def begin(x: Tensor, hook: HookPoint) -> Tensor:
        # The graph starts here, whether or not the weights themselves ask for gradients.
        return x.detach().requires_grad_()

    def keeper(place: tuple[str, int]) -> Callable[[Tensor, HookPoint], Tensor]:
        def keep(x: Tensor, hook: HookPoint) -> Tensor:
            # Returned, so that the graph runs through the hook's own view of the activation.
            kept[place] = x
            return x

        return keep

    def finish(x: Tensor, hook: HookPoint) -> None:
        final.append(x[0, -1])

    hooks: list[Hook] = [("blocks.0.hook_resid_pre", begin)]
    hooks += [(f"blocks.{layer}.{HOOKS[site]}", keeper((site, layer))) for site, layer in places]
    hooks += [(f"blocks.{bridge.cfg.n_layers - 1}.hook_out", finish)]
    ids = torch.tensor([recipient.ids], device=bridge.cfg.device)
    take_turn(bridge)
    with torch.enable_grad():
        run_with_hooks(bridge, ids, hooks)
        logit_diff = readout(bridge).logit_diff(final[0], *candidates)
        gradients = torch.autograd.grad(logit_diff, [kept[place] for place in places])
    return [gradient[0] for gradient in gradients]
