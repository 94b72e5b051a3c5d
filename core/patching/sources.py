"""What patches of one plan are taken from, by the names of `core.patching.plan`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from core.patching.jitter import jittered
from core.patching.matched import matched
from core.patching.plan import CARRIED, DONOR, OWN, RANDOM
from core.patching.senders import sender_of
from core.patching.sent import Sent
from core.patching.weights import Weights
from core.recording import Recording, record


@dataclass(eq=False)
class Sources:
    """The two plain runs of a plan, and what is made of them."""

    recipient: Recording
    donor: Recording

    def of(self, name: str) -> Recording:
        """The activations of a source."""
        if name in (DONOR, OWN):
            return self.donor if name == DONOR else self.recipient
        if name.startswith(RANDOM):
            return matched(self.recipient, self.donor, name)
        if (sender := sender_of(name)) is not None:
            own = self.recipient
            return Sent(own.bridge, own.ids, own.activations, donor=self.donor, sender=sender)
        return self.carried if name == CARRIED else jittered(self.recipient, name)

    @cached_property
    def carried(self) -> Recording:
        """What each of the recipient's sublayers makes of the donor's stream before it."""
        return record(self.recipient.bridge, self.recipient.ids, self.donor)

    @cached_property
    def weights(self) -> Weights:
        return Weights(self.recipient, self.donor)
