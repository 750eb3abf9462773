#!/usr/bin/env python3
"""Each rule of tools/lint refuses a small bad tree and accepts its mended form."""
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LAYERS = "library base:\nlow: base\nhigh: base low\n"
GOOD = {
    "src/base/base.h": "/* B. */\n#ifndef B\n#define B\n#endif\n",
    "src/low/low.h": "/* L. */\n#ifndef L\n#define L\nint low_get(void);\n#endif\n",
    "src/low/inner.h": "/* I. */\n#ifndef I\n#define I\n#endif\n",
    "src/low/low.c": '/* L. */\n#include "low/inner.h"\n#include "low/low.h"\nint low_get(void)\n{\n\treturn 1;\n}\n',
    "src/high/high.h": "/* H. */\n#ifndef H\n#define H\n#endif\n",
    "src/high/high.c": '/* H. */\n#include "high/high.h"\n#include "low/low.h"\n',
}
CASES = [
    ("layers", {"src/low/low.c": '/* L. */\n#include "high/high.h"\n'}),
    ("layers", {"src/stray/stray.c": "/* S. */\n"}),
    ("private_headers", {"src/high/high.c": '/* H. */\n#include "low/inner.h"\n'}),
    ("cycles", {"src/layers.txt": "library base:\nlow: base high\nhigh: base low\n"}),
    ("cycles", {"src/low/inner.h": '/* I. */\n#ifndef I\n#define I\n#include "low/low.h"\n#endif\n',
                "src/low/low.h": '/* L. */\n#ifndef L\n#define L\n#include "low/inner.h"\n#endif\n'}),
    ("headers_stand_alone", {"src/low/low.h": "/* L. */\nsize_t low_get(void);\n"}),
    ("headers_stand_alone", {"src/low/low.h": "/* L. */\nenum low { LOW_A };\n"}),
    ("global_symbols", {"src/low/low.c": "/* L. */\nint get(void);\nint get(void)\n{\n\treturn 1;\n}\n"}),
    ("sizes", {"src/low/low.c": "/* L. */\nvoid low_long(void)\n{\n" + "\t;\n" * 61 + "}\n"}),
    ("sizes", {"src/low/low.c": "/* L. */\n" + "\n" * 801}),
    ("openings", {"src/low/low.c": "int low_x;\n"}),
    ("words", {"src/low/low.c": "/* L. TO" + "DO: later */\n"}),
    ("words", {"src/low/low.c": "/* L. /wo" + "rk/main */\n"}),
    ("words", {"tests/a_test.py": "import time\ntime.sl" + "eep(1)\n"}),
    ("scripts", {"tools/x.py": "def broken(:\n"}),
    ("scripts", {"tools/x.sh": "if true; then\n"}),
]


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def lint(root, rule):
    objects = root / "objects"
    inside = objects / "src/libcore.a.p"
    inside.mkdir(parents=True, exist_ok=True)
    if rule == "global_symbols":
        subprocess.run(["gcc", "-I" + str(root / "src"), "-c", str(root / "src/low/low.c"), "-o",
                        str(inside / "low_low.c.o")], check=True)
    return subprocess.run([sys.executable, str(ROOT / "tools/lint"), "--root", str(root), "--objects", str(objects),
                           rule], capture_output=True, text=True)


def main():
    passed = failed = 0
    for number, (rule, bad) in enumerate(CASES):
        with tempfile.TemporaryDirectory() as scratch:
            root = pathlib.Path(scratch)
            write(root, {"src/layers.txt": LAYERS, **GOOD})
            accepted = lint(root, rule)
            write(root, bad)
            refused = lint(root, rule)
        fine = accepted.returncode == 0 and refused.returncode == 1 and ("FAIL " + rule) in refused.stdout
        passed, failed = passed + fine, failed + (not fine)
        if not fine:
            print("FAILED case %d of rule %s: %s\n%s" % (number, rule, accepted.stdout, refused.stdout + refused.stderr))
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
