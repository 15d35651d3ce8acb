"""An OpenEnv server for an acenv environment, and nano playing an episode on it over a WebSocket.

python examples/openenv_server.py
"""

import argparse
import threading
import time

import uvicorn

from acenv.adapters.openenv import TextAction, connect, make_app
from acenv.policies import load_policy
from acenv.types import Request

parser = argparse.ArgumentParser()
parser.add_argument("--env", default="acenv/ToolSandbox-v0")
parser.add_argument("--seeds", type=int, default=3)
parser.add_argument("--policy", default="nano")
args = parser.parse_args()

# The server: in a program of its own, acenv.adapters.openenv.serve(env_id, port=8000) is all of it.
server = uvicorn.Server(uvicorn.Config(make_app(args.env, difficulty="easy"), port=0, log_level="warning"))
threading.Thread(target=server.run, daemon=True).start()
while not server.started:
    time.sleep(0.05)
port = server.servers[0].sockets[0].getsockname()[1]

# The client
policy = load_policy(args.policy)
with connect(f"http://127.0.0.1:{port}") as client:
    for seed in range(args.seeds):
        result = client.reset(seed=seed)
        tools, step = result.observation.tools, 0
        while not result.done:
            request = Request(slot=0, seed=seed, step=step, messages=result.observation.messages, tools=tools)
            result = client.step(TextAction(text=policy.act([request])[0].action))
            step += 1
        episode = client.state().episode()
        print(f"seed {seed}  return {episode.return_:.2f}  steps {episode.length}  {dict(episode.metrics)}")
server.should_exit = True
