"""Gold calls a second of BFCL's multi-turn tasks, by its own executor and by acenv, in turn; for ``peers.py``.

Both begin with the text of a call. The official executor rewrites it for ``eval``; acenv parses it, refuses
what is not documented or would run away, and calls the method. Setting up the backends counts on both sides.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from bfcl_eval.eval_checker.multi_turn_eval.multi_turn_utils import execute_multi_turn_func_call

from acenv.envs.tools.bfcl.backends import OfficialBackend, method_parameters, package_data
from acenv.envs.tools.bfcl.parsing import parse_gold
from acenv.envs.tools.bfcl.records import load_records
from acenv.envs.tools.bfcl.tasks import Scenario


def lines(name: str) -> dict[str, dict[str, Any]]:
    text = (package_data() / name).read_text(encoding="utf-8")
    return {record["id"]: record for record in map(json.loads, text.splitlines())}


def main() -> None:
    rounds = int(sys.argv[1])
    records, golds = lines("BFCL_v4_multi_turn_base.json"), lines("possible_answer/BFCL_v4_multi_turn_base.json")
    tasks = {task.name: task for task in load_records("bfcl-eval", "multi_turn_base")}
    theirs, ours, calls, same = 0.0, 0.0, 0, 0
    for number in range(rounds):
        for name, task in tasks.items():
            record, turns = records[name], golds[name]["ground_truth"]
            began = time.process_time()
            official = []
            for turn in turns:
                official += execute_multi_turn_func_call(
                    turn, record["initial_config"], record["involved_classes"], f"m{number}", name
                )[0]
            between = time.process_time()
            assert isinstance(task.backend, Scenario)
            backend = OfficialBackend.of(task.backend)
            parameters = {n: p for owner in task.backend.classes for n, p in method_parameters(owner).items()}
            got = [backend.run(parse_gold(text, parameters.__getitem__))[0] for turn in turns for text in turn]
            theirs, ours = theirs + between - began, ours + time.process_time() - between
            calls += len(got)
            same += sum(a == b for a, b in zip(official, got, strict=True))
    print(json.dumps({"calls": calls, "official": theirs, "acenv": ours, "same": same}))


if __name__ == "__main__":
    main()
