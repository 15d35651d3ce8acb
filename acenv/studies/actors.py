"""Several policies as one, so that their episodes run in one loop."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from acenv.loop import WholeBatches, stream
from acenv.types import Decision, Policy, Request, StreamingPolicy


class Actors:
    """A policy that passes each request on to the one that its episode names (:attr:`acenv.types.Request.actor`).

    Each gets its requests as far as it has room; what does not fit waits.
    """

    def __init__(self, policies: Mapping[str, Policy]) -> None:
        """Let ``policies`` act, by the names that starts call them; one policy may have several names."""
        self.name = " and ".join(dict.fromkeys(policy.name for policy in policies.values()))
        self._crews: dict[int, _Crew] = {}
        for policy in policies.values():
            self._crews.setdefault(id(policy), _Crew(policy))
        self._by_name = {name: self._crews[id(policy)] for name, policy in policies.items()}
        self.capacity = sum(crew.policy.capacity for crew in self._crews.values())
        self._turns = deque(self._crews.values())
        self.decisions = 0

    def act(self, batch: Sequence[Request]) -> list[Decision]:
        """Decide for every request, a policy at a time."""
        self.submit(batch)
        decided: dict[int, Decision] = {}
        while len(decided) < len(batch):
            decided |= dict(self.collect())
        return [decided[request.slot] for request in batch]

    def submit(self, batch: Sequence[Request]) -> None:
        """Take requests beside those that are under way; see :class:`acenv.types.StreamingPolicy`."""
        for request in batch:
            self._by_name[request.actor].waiting.append(request)

    def collect(self, timeout: float | None = None) -> list[tuple[int, Decision]]:
        """Work, or wait, until a request of the policy whose turn it is has been decided."""
        for crew in self._crews.values():
            crew.feed()
        for _ in range(len(self._turns)):
            crew = self._turns[0]
            self._turns.rotate(-1)
            if crew.under_way:
                decided = crew.stream.collect(timeout)
                crew.under_way -= len(decided)
                self.decisions += len(decided)
                return list(decided)
        return []

    def cancel(self) -> None:
        """Forget the requests that are under way."""
        for crew in self._crews.values():
            crew.waiting.clear()
            crew.under_way = 0
            crew.stream.cancel()


class _Crew:
    """One of the policies, with what waits for it."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.stream: StreamingPolicy | WholeBatches = stream(policy)
        self.waiting: deque[Request] = deque()
        self.under_way = 0

    def feed(self) -> None:
        room = min(self.policy.capacity - self.under_way, len(self.waiting))
        if room > 0:
            self.under_way += room
            self.stream.submit([self.waiting.popleft() for _ in range(room)])
