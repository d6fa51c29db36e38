#!/usr/bin/env python3
"""Makes target/lambda/NAME.zip of each function that was built.

    package.py FOLDER [NAME …]          FOLDER has the programs; every function's without names
    package.py --into OTHER FOLDER …    elsewhere, and quicker than small

The same program gives the same zip, byte by byte, so that a deployment
changes only the functions that have changed. Needs nothing but Python.
"""

import argparse
import pathlib
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
OUT = ROOT / "target" / "lambda"


def names():
    folders = (ROOT / "functions").iterdir()
    return sorted(path.name for path in folders if (path / "Cargo.toml").exists())


def pack(program, path, level):
    # No date but the first that a zip can tell, and always the same rights.
    entry = zipfile.ZipInfo("bootstrap", date_time=(1980, 1, 1, 0, 0, 0))
    entry.external_attr = 0o100755 << 16
    entry.create_system = 3
    entry.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(entry, program, compresslevel=level)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--into", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    out, level = (options.into, 1) if options.into else (OUT, 9)
    out.mkdir(parents=True, exist_ok=True)
    for name in options.names or names():
        program = (options.folder / name).read_bytes()
        path = out / f"{name}.zip"
        pack(program, path, level)
        print(f"{name:16} {len(program) / 1e6:6.2f} MB, zipped {path.stat().st_size / 1e6:5.2f} MB")


main()
