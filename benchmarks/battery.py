"""Our random words and normals through published batteries of tests: PractRand and TestU01.

Run one of:

    python benchmarks/battery.py practrand --program RNG_test [--gigabytes 4] [--orders one names-1 ...]
    python benchmarks/battery.py smallcrush --testu01 PREFIX [--orders ...]      (also crush, bigcrush)
    python benchmarks/battery.py rabbit --testu01 PREFIX [--bits 2**32]          (also alphabit)

RNG_test is the program that PractRand builds; PREFIX is where TestU01 is installed (include/ and lib/). battery.c is
compiled against it with the C compiler. The orders are those of words.py; without --orders all of them are tested, and
after them the control, which must fail. One line for each order goes to standard output: how many p-values the battery
gave, how many of them lie outside [0.001, 0.999], how many one expects there, and what the battery itself calls
unusual. --log FILE keeps every p-value as JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import words

import wellbegun.sampler as sampler

EDGE = 1e-3
TESTU01 = ("smallcrush", "crush", "bigcrush", "alphabit", "rabbit")


class Result(NamedTuple):
    """One p-value of a battery; `verdict` is the battery's own word for it."""

    test: str
    p: float
    verdict: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("battery", choices=("practrand", *TESTU01))
    parser.add_argument("--program", default="RNG_test", help="PractRand's RNG_test")
    parser.add_argument("--testu01", type=Path, default=Path("/usr"), help="where TestU01 is installed")
    parser.add_argument("--gigabytes", type=int, default=4, help="for PractRand, a power of two; 4 are 2^30 words")
    parser.add_argument("--bits", default="2**32", help="for rabbit and alphabit")
    parser.add_argument("--orders", nargs="+", choices=(*words.ORDERS, words.CONTROL), metavar="ORDER")
    parser.add_argument("--seed", type=int, default=words.SEED)
    parser.add_argument("--log", type=Path, help="every p-value, appended as JSON")
    arguments = parser.parse_args()

    sampler.set_num_threads(1)
    words.check()
    print("| battery | order | words read | minutes | p-values | outside [0.001, 0.999] | expected | unusual |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        if arguments.battery != "practrand":
            compile_testu01(arguments.testu01, Path(folder) / "battery")
        for order in arguments.orders or (*words.ORDERS, words.CONTROL):
            began = time.perf_counter()
            command = practrand(arguments, order) if arguments.battery == "practrand" else testu01(arguments, folder)
            output, sent = feed(command, words.by_name(order)(arguments.seed))
            results = list(read(arguments.battery, output))
            minutes = (time.perf_counter() - began) / 60
            print(row(arguments.battery, order, sent, minutes, results), flush=True)
            if arguments.log:
                with arguments.log.open("a") as log:
                    facts = {"battery": arguments.battery, "order": order, "seed": arguments.seed, "bytes": sent}
                    log.write(json.dumps(facts | {"results": results}) + "\n")


def practrand(arguments: argparse.Namespace, order: str) -> list[str]:
    size = f"{arguments.gigabytes}GB"
    width = "stdin8" if order == "normals32" else "stdin32"
    return [arguments.program, width, "-a", "-tlmin", size, "-tlmax", size]


def testu01(arguments: argparse.Namespace, folder: str) -> list[str]:
    return [f"{folder}/battery", arguments.battery, str(2 ** int(arguments.bits.removeprefix("2**")))]


def compile_testu01(prefix: Path, program: Path) -> None:
    places = [f"-I{prefix}/include", f"-L{prefix}/lib", f"-Wl,-rpath,{prefix}/lib"]
    source, libraries = Path(__file__).with_name("battery.c"), ["-ltestu01", "-lprobdist", "-lmylib", "-lm"]
    subprocess.run(["cc", "-O2", "-o", str(program), str(source), *places, *libraries], check=True)


def feed(command: list[str], stream: Iterator[Any]) -> tuple[str, int]:
    """Send a stream to a program until it has had enough, and return what it printed and how many bytes it was sent."""
    sent = 0
    with (
        tempfile.TemporaryFile("w+") as output,
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=errors) as process,
    ):
        with contextlib.suppress(BrokenPipeError):
            for part in stream:
                process.stdin.write(part.data)
                sent += part.nbytes
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        if process.wait() != 0:
            errors.seek(0)
            raise RuntimeError(f"{command[0]} failed: {errors.read()[-1000:]}")
        output.seek(0)
        return output.read(), sent


PRACTRAND = re.compile(r"^  (\S+) +R= *\S+ +p *~?= *(1-)?([0-9.e-]+) +(\S.*?) *$", re.MULTILINE)


def read(battery: str, output: str) -> Iterator[Result]:
    """Read p-values out of what a battery printed."""
    if battery == "practrand":
        for test, above, number, verdict in PRACTRAND.findall(output):
            yield Result(test, 1 - float(number) if above else float(number), verdict)
        return
    for line in output.splitlines():
        number, test = line.split("\t")
        p = float(number) if number != "used" else -1.0
        if p >= 0:  # -1 stands for a test that was not done
            # the guide of TestU01 calls a test failed outside [1e-10, 1 - 1e-10] and suspect outside [1e-3, 1 - 1e-3]
            far = min(p, 1 - p)
            yield Result(test, p, "normal" if far >= EDGE else "suspect" if far >= 1e-10 else "FAIL")


def row(battery: str, order: str, sent: int, minutes: float, results: list[Result]) -> str:
    """A line of the table. What is called unusual is listed up to four, then counted."""
    outside = sum(not EDGE <= result.p <= 1 - EDGE for result in results)
    unusual = [result for result in results if result.verdict not in ("normal", "normalish")]
    named = "; ".join(f"{r.test} p={r.p:.3g} {r.verdict}" for r in unusual[:4])
    if len(unusual) > 4:
        named += f"; and {len(unusual) - 4} more"
    size = f"{sent / (1 if order == 'normals32' else 4) / 2**30:.2f} · 2^30"
    return (
        f"| {battery} | {order} | {size} | {minutes:.1f} | {len(results)} | {outside} | {2 * EDGE * len(results):.2f} "
        f"| {named or 'none'} |"
    )


if __name__ == "__main__":
    main()
