"""An acenv environment as one of verifiers', with nano behind a small OpenAI-compatible server as the model.

python examples/verifiers_env.py
python examples/verifiers_env.py --base-url http://127.0.0.1:8000/v1 --model my-model
"""

import argparse
import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from acenv.adapters.verifiers import make_env, run
from acenv.policies import load_policy
from acenv.types import Request

parser = argparse.ArgumentParser()
parser.add_argument("--env", default="acenv/ToolSandbox-v0")
parser.add_argument("--seeds", type=int, default=4)
parser.add_argument("--base-url", help="an OpenAI-compatible server; default: one for nano is started")
parser.add_argument("--model", default="nano")
args = parser.parse_args()


def serve_nano() -> str:
    policy, lock = load_policy("nano"), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                [decision] = policy.act([Request(0, 0, 0, asked["messages"], asked.get("tools", ()))])
            message = {"role": "assistant", "content": decision.action}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            answer = {"id": "0", "object": "chat.completion", "created": 0, "model": "nano", "choices": [choice]}
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/v1"


env = make_env(args.env, range(args.seeds), difficulty="easy")
for episode in asyncio.run(run(env, model=args.model, base_url=args.base_url or serve_nano())):
    for error in episode.errors:
        print(error.message)
    for trace in episode.traces:
        print(f"{episode.task.data.name}  reward {trace.reward:.3f}  turns {trace.num_turns}  {trace.metrics}")
