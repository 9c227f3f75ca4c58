"""What reading text costs, beside the reference pipeline (rapidocr-onnxruntime), on the same pictures in one run.

    pip install pillow rapidocr-onnxruntime==1.4.4
    cargo build --release && python3 benches/text.py target/release/snapseek DIR

Into DIR come 97 photos of 12 megapixels without text (fixtures/photos, enlarged), four that show a sign at 0.6, 0.35 and
0.2 of their width, and a page of 40 lines of 12 megapixels. Seconds of wall and of processor time, medians of three.
"""

import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import time

from PIL import Image, ImageDraw, ImageFont
from rapidocr_onnxruntime import RapidOCR

PROGRAM, HOME = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures"
FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSerif.ttf"
WRITTEN = {"multimeter-1.jpg", "volleyball.jpg"}
LINE = "The lighthouse keeper rose before dawn and climbed the twelve steps"


def run(*args):
    """Seconds of wall and of processor time of the program, and what it prints."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.time()
    done = subprocess.run([PROGRAM, *args, "--library", HOME / "library"], capture_output=True, text=True)
    wall, after = time.time() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 1):
        sys.exit(done.stderr)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def median_of(work):
    return [round(statistics.median(part), 2) for part in zip(*(work()[:2] for _ in range(3)))]


def reference(paths):
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.time()
    lines = [RAPID(str(path))[0] or [] for path in paths]
    after = resource.getrusage(resource.RUSAGE_SELF)
    return time.time() - start, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, lines


os.environ["XDG_CONFIG_HOME"] = str(HOME / "config")
photos = HOME / "photos"
if not photos.exists():
    photos.mkdir(parents=True)
    names = sorted(p for p in (FIXTURES / "photos").glob("*.jpg") if p.name not in WRITTEN)
    for path in names:
        Image.open(path).convert("RGB").resize((4000, 3000), Image.BICUBIC).save(photos / path.name, quality=90)
    page = Image.new("RGB", (3000, 4000), (246, 243, 235))
    for row in range(40):
        ImageDraw.Draw(page).text((200, 180 + row * 92), f"{row + 1} {LINE}", font=ImageFont.truetype(FONT, 62), fill=(40, 38, 36))
    page.save(HOME / "page.jpg", quality=90)
    for share in (0.6, 0.35, 0.2):
        for n, kind in enumerate(("04-sign", "07-screenshot", "13-menu", "19-label")):
            ground = Image.open(photos / sorted(os.listdir(photos))[n * 7]).copy()
            sheet = Image.open(FIXTURES / f"text/{kind}.jpg")
            sheet = sheet.resize((int(4000 * share), int(4000 * share * sheet.height / sheet.width)), Image.BICUBIC)
            ground.paste(sheet, (300 + 100 * n, 200))
            (HOME / f"signs-{share}").mkdir(exist_ok=True)
            ground.save(HOME / f"signs-{share}/{n}.jpg", quality=90)

RAPID = RapidOCR()
count = len(list(photos.iterdir()))


def read_all():
    shutil.rmtree(HOME / "library", ignore_errors=True)
    run("index", str(photos), "--quiet", "--no-text")
    wall, processor, _ = run("index", "--quiet")
    with_text = run("index", "--quiet", "--text")
    return with_text[0] - wall, with_text[1] - processor


wall, processor = median_of(read_all)
print(f"{count} photos without text, index --text beyond index: {1000 * wall / count:.0f} ms wall, "
      f"{1000 * processor / count:.0f} ms processor a photo")
some = sorted(photos.iterdir())[:8]
wall, processor, lines = reference(some)
print(f"reference: {1000 * wall / len(some):.0f} ms wall, {1000 * processor / len(some):.0f} ms processor a photo; "
      f"invented lines: {sum(map(len, lines))}")
print("a page of 40 lines, snapseek text:", median_of(lambda: run("text", str(HOME / "page.jpg"))), "(wall, processor)")
read = run("text", str(HOME / "page.jpg"))[2].splitlines()
print("  lines read to the letter:", sum(f"{n + 1} {LINE}" in read for n in range(40)))
reference([HOME / "page.jpg"])
print("  reference:", median_of(lambda: reference([HOME / "page.jpg"])), "(in a process that has its models)")
for share in (0.6, 0.35, 0.2):
    shutil.rmtree(HOME / "library", ignore_errors=True)
    run("index", str(HOME / f"signs-{share}"), "--quiet", "--text")
    glanced = json.loads(run("status", "--json")[2])["with_text"]
    full = sum(bool(json.loads(line)["lines"]) for line in
               run("text", "--json", *map(str, sorted((HOME / f"signs-{share}").iterdir())))[2].splitlines())
    print(f"signs {share} as wide as the photo: {glanced} of 4 are read by index --text, {full} by text")
