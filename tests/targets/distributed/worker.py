"""One process of a World: reads the name of a function and its arguments, and answers with what it returns."""

import importlib.util
import os
import pickle
import sys
import traceback


def main() -> None:
    rank, size, folder, file = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not come between the answers
    import torch
    import torch.distributed as processes

    processes.init_process_group(
        "gloo", rank=rank, world_size=size, store=processes.FileStore(os.path.join(folder, "store"), size)
    )
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    spec = importlib.util.spec_from_file_location("distributed.work", file)
    assert spec is not None
    assert spec.loader is not None
    work = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = work
    spec.loader.exec_module(work)

    while True:
        try:
            name, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            break
        torch.manual_seed(1000 + 17 * rank)  # different on every process, on purpose
        try:
            answer = (True, getattr(work, name)(**arguments))
        except Exception:  # noqa: BLE001  # told to the test, with all its words
            answer = (False, traceback.format_exc())
        pickle.dump(answer, answers)
        answers.flush()
    processes.destroy_process_group()


if __name__ == "__main__":
    main()
