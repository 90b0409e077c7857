"""``docker`` for the standard tests of images, where an image's entry point is the command CONNECTOR_SCRIPT.

It knows ``docker run [--rm] [-v HOST:CONTAINER[:MODE]]... [-e NAME=VALUE]... IMAGE ARGUMENT...`` and nothing else.
"""

import argparse
import os
import sys


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="docker")
    parser.add_argument("command", choices=["run"])
    parser.add_argument("--rm", action="store_true")
    parser.add_argument("-v", dest="mounts", action="append", default=[])
    parser.add_argument("-e", dest="variables", action="append", default=[])
    parser.add_argument("image")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    asked = parser.parse_args(arguments)
    places = dict(reversed(mount.split(":")[:2]) for mount in asked.mounts)
    inside = [places.get(argument, argument) for argument in asked.arguments]
    variables = dict(variable.split("=", 1) for variable in asked.variables)
    script = os.environ["CONNECTOR_SCRIPT"]
    os.execve(script, [script, *inside], {**os.environ, **variables})


if __name__ == "__main__":
    main(sys.argv[1:])
