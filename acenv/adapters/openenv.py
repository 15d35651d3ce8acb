"""Any environment behind an OpenEnv server, and a client for it.

Tested with openenv-core 0.3.0::

    serve("acenv/ToolSandbox-v0", port=8000, difficulty="easy")       # one process

    with connect("http://127.0.0.1:8000") as client:                  # another
        result = client.reset(seed=7)
        while not result.done:
            result = client.step(TextAction(text=act(result.observation.messages)))
        print(client.state().episode().return_)

An OpenEnv session is a WebSocket connection with an environment of its own, which plays one episode after another.
(OpenEnv's plain HTTP routes ``/reset`` and ``/step`` make a new environment for each request, so they cannot play.) The
observation is the conversation and, at reset, the tools; the reward travels beside it, and what acenv records of an
episode is the session's state. Whoever makes the server chooses the environment and its keywords: a client chooses a
seed, and sends text.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from openenv.core import EnvClient, SyncEnvClient
from openenv.core.client_types import StepResult
from openenv.core.env_server import Action, Environment, Observation, State, create_fastapi_app
from openenv.core.env_server.types import EnvironmentMetadata
from pydantic import Field

from acenv.adapters.session import Session
from acenv.types import Episode


class TextAction(Action):  # type: ignore[misc]
    """What the assistant says."""

    text: str


class ConversationObservation(Observation):  # type: ignore[misc]
    """The conversation so far, as a chat API takes it.

    Attributes:
        messages: ``{"role", "content"}`` each.
        tools: JSON Schemas of the tools on offer; at reset only.
    """

    messages: list[dict[str, str]] = Field(default_factory=list)
    tools: list[dict[str, Any]] = Field(default_factory=list)


class EpisodeState(State):  # type: ignore[misc]
    """What acenv records of the episode so far; ``return_`` is None where it cannot be scored."""

    env_id: str
    seed: int
    return_: float | None = 0.0
    terminated: bool = False
    truncated: bool = False
    error: str | None = None
    metrics: dict[str, float] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)

    def episode(self) -> Episode:
        """The record as :func:`acenv.evaluate` makes it, but for tokens and seconds."""
        return Episode(
            env_id=self.env_id,
            seed=self.seed,
            return_=math.nan if self.return_ is None else self.return_,
            length=self.step_count,
            terminated=self.terminated,
            truncated=self.truncated,
            error=self.error,
            metrics=self.metrics,
            labels=self.labels,
        )


class OpenEnvEnvironment(Environment[TextAction, ConversationObservation, EpisodeState]):  # type: ignore[misc]
    """An acenv environment with OpenEnv's methods."""

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self, env_id: str, **env_kwargs: Any) -> None:
        """Make the environment; arguments as for :class:`acenv.adapters.session.Session`."""
        super().__init__()
        self._session = Session(env_id, **env_kwargs)
        self._name: str | None = None

    def reset(self, seed: int | None = None, episode_id: str | None = None, **_: Any) -> ConversationObservation:
        """Start the episode of a seed, or of one that is drawn; other arguments of a client's are not looked at."""
        chosen = int(np.random.default_rng().integers(2**31)) if seed is None else seed
        self._name = episode_id or f"{self._session.env_id}#{chosen}"
        messages = self._session.reset(chosen)
        return ConversationObservation(messages=messages, tools=list(self._session.tools))

    def step(self, action: TextAction, timeout_s: float | None = None, **_: Any) -> ConversationObservation:
        """Say something.

        Raises:
            gymnasium.error.ResetNeeded: There is no episode under way.
        """
        reward = self._session.step(action.text)
        return ConversationObservation(messages=self._session.messages, reward=reward, done=self._session.over)

    @property
    def state(self) -> EpisodeState:
        """What has become of the episode so far."""
        episode = self._session.episode()
        return EpisodeState(
            episode_id=self._name,
            step_count=episode.length,
            env_id=episode.env_id,
            seed=episode.seed,
            return_=None if math.isnan(episode.return_) else episode.return_,
            terminated=episode.terminated,
            truncated=episode.truncated,
            error=episode.error,
            metrics=dict(episode.metrics),
            labels=dict(episode.labels),
        )

    def get_metadata(self) -> EnvironmentMetadata:
        """Name and description, for OpenEnv's catalogue."""
        about = (type(self._session.env).__doc__ or "").strip().partition("\n")[0]
        return EnvironmentMetadata(name=self._session.env_id, description=about)

    def close(self) -> None:
        """Close the environment inside."""
        self._session.close()


class ConversationClient(EnvClient[TextAction, ConversationObservation, EpisodeState]):  # type: ignore[misc]
    """Speaks with a server that :func:`make_app` made; asynchronous, as OpenEnv's clients are."""

    def _step_payload(self, action: TextAction) -> dict[str, Any]:
        return {"text": action.text}

    def _parse_result(self, payload: dict[str, Any]) -> StepResult[ConversationObservation]:
        reward, done = payload.get("reward"), bool(payload.get("done"))
        observation = ConversationObservation(**payload["observation"], reward=reward, done=done)
        return StepResult(observation=observation, reward=reward, done=done)

    def _parse_state(self, payload: dict[str, Any]) -> EpisodeState:
        return EpisodeState(**payload)


def connect(url: str) -> SyncEnvClient[TextAction, ConversationObservation, EpisodeState]:
    """A client without ``async``; use it in a ``with`` block."""
    return ConversationClient(base_url=url).sync()


def make_app(env_id: str, *, sessions: int = 64, **env_kwargs: Any) -> Any:
    """The server as an ASGI application.

    Args:
        env_id: An id, or its short form such as ``"pddl"``.
        sessions: How many clients are served at once; more are refused.
        env_kwargs: Keywords for the environment, such as ``difficulty="easy"``.

    Raises:
        ValueError: There is no such environment.
    """
    Session(env_id, **env_kwargs).close()  # what cannot be made must not come out with the first client
    return create_fastapi_app(
        lambda: OpenEnvEnvironment(env_id, **env_kwargs),
        TextAction,
        ConversationObservation,
        max_concurrent_envs=sessions,
    )


def serve(env_id: str, *, host: str = "127.0.0.1", port: int = 8000, **options: Any) -> None:
    """Serve until interrupted; to others than this machine only if ``host`` says so. Options as :func:`make_app`."""
    import uvicorn

    uvicorn.run(make_app(env_id, **options), host=host, port=port, log_level="warning")
