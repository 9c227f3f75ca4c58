#!/usr/bin/env python3
"""snapseek beside rclip (https://github.com/yurijmikhalevich/rclip) on the same photos and the same random weights of a
ViT-B/32 at 256 pixels, whole processes in turn: wall time, processor time and peak memory of indexing.

    python benches/rclip.py DIR [ROUNDS [COUNT]]

makes in DIR, once: a virtual environment with rclip from PyPI, the weights as rclip's ONNX files and in the layout of
`transformers`, 60 JPEGs of 12 megapixels, 200 of 512 pixels, 60 PNG screenshots; with COUNT, so many of 512 pixels
alone, which snapseek indexes in a first run. Needs a built target/release/snapseek, and pip's index for the environment.
"""
import json, os, pathlib, resource, shutil, statistics, subprocess, sys, tempfile, time, zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = pathlib.Path(sys.argv[1]).resolve()
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 3
COUNT = int(sys.argv[3]) if len(sys.argv) > 3 else None
PROGRAM = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/snapseek"
VENV = OUT / "venv"
NAME = "ViT-B-32-256-datacomp_s34b_b86k"


def environment():
    if (VENV / "bin/rclip").exists():
        return
    subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    pip = [VENV / "bin/pip", "-q"]
    subprocess.run([*pip, "install", "rclip", "onnx", "safetensors", "pillow", "numpy"], check=True)
    # It has the vocabulary that rclip would download.
    subprocess.run([*pip, "download", "--no-deps", "--dest", OUT, "clip-anytorch"], check=True)


def run_inside(code, *arguments):
    subprocess.run([VENV / "bin/python", "-c", code, *map(str, arguments)], check=True, cwd=OUT)


MAKE_PHOTOS = """
import pathlib, sys
import numpy as np
from PIL import Image
sources, out, count, width, height, kind = sorted(pathlib.Path(sys.argv[1]).glob("*.jpg")), pathlib.Path(sys.argv[2]), *sys.argv[3:]
count, width, height = int(count), int(width), int(height)
out.mkdir(parents=True, exist_ok=True)
random = np.random.default_rng(1)
for n in range(count):
    picture = Image.open(sources[n % len(sources)]).convert("RGB").resize((width, height), Image.LANCZOS)
    if kind == "jpg":
        noise = random.normal(0, 4, (height, width, 1)).astype(np.int16)
        pixels = np.clip(np.asarray(picture, dtype=np.int16) + noise, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(out / f"{n:05}.jpg", quality=88)
    else:
        # Flat areas and a picture, as screenshots have them.
        screen = Image.new("RGB", (1920, 1080), tuple(int(c) for c in random.integers(0, 255, 3)))
        screen.paste(picture, (int(random.integers(0, 1920 - width)), int(random.integers(0, 1080 - height))))
        screen.save(out / f"{n:05}.png")
"""

# The same numbers for both programs. Exact GELU, as models of DataComp have it.
MAKE_MODELS = """
import json, pathlib, sys
import numpy as np, onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file
source, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
random = np.random.default_rng(0)
weight = lambda *shape: random.standard_normal(shape, dtype=np.float32) * 0.02
both = {}

def tower(kind, hidden, layers, heads, inner, path):
    nodes, tensors = [], []
    prefix = "vision_model" if kind == "pictures" else "text_model"
    def constant(array):
        tensors.append(numpy_helper.from_array(array, f"c{len(tensors)}"))
        return tensors[-1].name
    def node(kind, inputs, **options):
        nodes.append(helper.make_node(kind, inputs, [f"t{len(nodes)}"], **options))
        return nodes[-1].output[0]
    def norm(x, name):
        ones, zeros = np.ones(hidden, np.float32), np.zeros(hidden, np.float32)
        both[f"{prefix}.{name}.weight"], both[f"{prefix}.{name}.bias"] = ones, zeros
        return node("LayerNormalization", [x, constant(ones), constant(zeros)], axis=-1, epsilon=1e-5)
    def linear(x, name, inputs, outputs):
        matrix, bias = weight(outputs, inputs), weight(outputs)
        both[f"{prefix}.{name}.weight"], both[f"{prefix}.{name}.bias"] = matrix, bias
        return node("Add", [node("MatMul", [x, constant(np.ascontiguousarray(matrix.T))]), constant(bias)])
    if kind == "pictures":
        entry, tokens, mask = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["b", 3, 256, 256]), 65, None
        patches, token = weight(hidden, 3, 32, 32), weight(hidden)
        both[f"{prefix}.embeddings.patch_embedding.weight"], both[f"{prefix}.embeddings.class_embedding"] = patches, token
        x = node("Conv", ["input", constant(patches)], kernel_shape=[32, 32], strides=[32, 32])
        x = node("Transpose", [node("Reshape", [x, constant(np.array([0, hidden, 64]))])], perm=[0, 2, 1])
        nothing = node("Mul", [node("ReduceSum", [x, constant(np.array([1]))], keepdims=1), constant(np.zeros(1, np.float32))])
        x = node("Concat", [node("Add", [nothing, constant(token.reshape(1, 1, -1))]), x], axis=1)
    else:
        entry, tokens = helper.make_tensor_value_info("input", TensorProto.INT64, ["b", 77]), 77
        table = weight(49408, hidden)
        both[f"{prefix}.embeddings.token_embedding.weight"] = table
        x = node("Gather", [constant(table), "input"], axis=0)
        mask = constant(np.triu(np.full((77, 77), -1e9, np.float32), 1))
    positions = weight(tokens, hidden)
    both[f"{prefix}.embeddings.position_embedding.weight"] = positions
    x = node("Add", [x, constant(positions)])
    if kind == "pictures":
        x = norm(x, "pre_layrnorm")
    apart, together = constant(np.array([0, tokens, heads, hidden // heads])), constant(np.array([0, tokens, hidden]))
    scale = constant(np.array((hidden // heads) ** -0.5, np.float32))
    for n in range(layers):
        layer = f"encoder.layers.{n}"
        y = norm(x, f"{layer}.layer_norm1")
        heads_of = lambda part: node("Reshape", [linear(y, f"{layer}.self_attn.{part}_proj", hidden, hidden), apart])
        query = node("Transpose", [heads_of("q")], perm=[0, 2, 1, 3])
        key = node("Transpose", [heads_of("k")], perm=[0, 2, 3, 1])
        value = node("Transpose", [heads_of("v")], perm=[0, 2, 1, 3])
        scores = node("Mul", [node("MatMul", [query, key]), scale])
        if mask:
            scores = node("Add", [scores, mask])
        found = node("MatMul", [node("Softmax", [scores], axis=-1), value])
        found = node("Reshape", [node("Transpose", [found], perm=[0, 2, 1, 3]), together])
        x = node("Add", [x, linear(found, f"{layer}.self_attn.out_proj", hidden, hidden)])
        inside = node("Gelu", [linear(norm(x, f"{layer}.layer_norm2"), f"{layer}.mlp.fc1", hidden, inner)])
        x = node("Add", [x, linear(inside, f"{layer}.mlp.fc2", inner, hidden)])
    if kind == "pictures":
        x = norm(node("Gather", [x, constant(np.array(0))], axis=1), "post_layernorm")
    else:
        x = norm(x, "final_layer_norm")
        end = node("Unsqueeze", [node("ArgMax", ["input"], axis=1, keepdims=1), constant(np.array([2]))])
        end = node("Expand", [end, constant(np.array([1, 1, hidden]))])
        x = node("Squeeze", [node("GatherElements", [x, end], axis=1), constant(np.array([1]))])
    projection = weight(512, hidden)
    both["visual_projection.weight" if kind == "pictures" else "text_projection.weight"] = projection
    nodes.append(helper.make_node("MatMul", [x, constant(np.ascontiguousarray(projection.T))], ["output"]))
    end = helper.make_tensor_value_info("output", TensorProto.FLOAT, ["b", 512])
    model = helper.make_model(helper.make_graph(nodes, kind, [entry], [end], tensors), opset_imports=[helper.make_opsetid("", 20)])
    model.ir_version = 10
    onnx.save(model, path)

(out / "rclip").mkdir(parents=True, exist_ok=True)
(out / "hf").mkdir(exist_ok=True)
tower("pictures", 768, 12, 12, 3072, out / "rclip/visual.onnx")
tower("texts", 512, 12, 8, 2048, out / "rclip/textual.onnx")
both["logit_scale"] = np.array(4.6052, np.float32)
save_file(both, out / "hf/model.safetensors", metadata={"format": "pt"})
config = json.loads((source / "config.json").read_text())
common = dict(num_hidden_layers=12, hidden_act="gelu", projection_dim=512)
config["projection_dim"] = 512
config["text_config"].update(hidden_size=512, intermediate_size=2048, num_attention_heads=8, max_position_embeddings=77,
                             vocab_size=49408, eos_token_id=49407, bos_token_id=49406, **common)
config["vision_config"].update(hidden_size=768, intermediate_size=3072, num_attention_heads=12, image_size=256, patch_size=32, **common)
(out / "hf/config.json").write_text(json.dumps(config))
preprocessor = json.loads((source / "preprocessor_config.json").read_text())
preprocessor.update(size={"shortest_edge": 256}, crop_size={"height": 256, "width": 256})
(out / "hf/preprocessor_config.json").write_text(json.dumps(preprocessor))
for name in ["tokenizer.json", "tokenizer_config.json"]:
    (out / "hf" / name).write_bytes((source / name).read_bytes())
"""


def prepare():
    OUT.mkdir(parents=True, exist_ok=True)
    environment()
    sets = {"12 MP JPEG": ("12mp", 60, 4000, 3000, "jpg"), "512 px JPEG": ("512px", 200, 512, 384, "jpg"),
            "1920 x 1080 PNG": ("png", 60, 900, 600, "png")}
    if COUNT:
        sets = {"512 px JPEG": (f"512px-{COUNT}", COUNT, 512, 384, "jpg")}
    for folder, count, width, height, kind in sets.values():
        if len(list((OUT / folder).glob("*"))) < count:
            run_inside(MAKE_PHOTOS, ROOT / "fixtures/photos", OUT / folder, count, width, height, kind)
    if not (OUT / "hf/tokenizer_config.json").exists():
        run_inside(MAKE_MODELS, ROOT / "fixtures/reference/clip-random", OUT)
    return {name: OUT / value[0] for name, value in sets.items()}


def rclip_data():
    """A new data folder for rclip, with the model and the vocabulary where it looks for them."""
    data = OUT / "data"
    shutil.rmtree(data, ignore_errors=True)
    (data / NAME).mkdir(parents=True)
    for name in ["visual.onnx", "textual.onnx"]:
        os.link(OUT / "rclip" / name, data / NAME / name)
    (data / "tokenizer").mkdir()
    wheel = next(OUT.glob("clip_anytorch*.whl"))
    vocabulary = "bpe_simple_vocab_16e6.txt.gz"
    (data / "tokenizer" / vocabulary).write_bytes(zipfile.ZipFile(wheel).read(f"clip/{vocabulary}"))
    return data


def timed(command, folder, **environment):
    """Seconds of wall and of processor time of a process, and its peak memory in MB."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    # Not a pipe: one that nobody reads is full after some thousands of photos.
    said = tempfile.TemporaryFile("w+")
    process = subprocess.Popen(command, cwd=folder, env={**os.environ, **environment}, stdout=said,
                               stderr=subprocess.STDOUT)
    peak = 0
    while process.poll() is None:
        try:
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            peak = max([peak] + [int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")])
        except OSError:
            pass
        time.sleep(0.02)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        said.seek(0)
        sys.exit(f"{command} ended with {process.returncode}:\n{said.read()}")
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, used, peak


def snapseek(folder, cache, **environment):
    library = OUT / "library"
    shutil.rmtree(library, ignore_errors=True)
    command = [PROGRAM, "index", folder, "--library", library, "--model", OUT / "hf", "--offline"]
    return timed(command, folder, XDG_CACHE_HOME=str(cache), **environment)


def main():
    sets = prepare()
    cache = OUT / "cache"
    for name, folder in sets.items():
        programs = {
            "rclip": lambda: timed([VENV / "bin/rclip", "-t", "3", "dog"], folder, RCLIP_DATADIR=str(rclip_data())),
            "snapseek, first run": lambda: (shutil.rmtree(cache, ignore_errors=True), snapseek(folder, cache))[1],
            "snapseek": lambda: snapseek(folder, cache),
            "snapseek --precision full": lambda: snapseek(folder, cache, SNAPSEEK_PRECISION="full"),
            "snapseek, AVX2": lambda: snapseek(folder, cache, SNAPSEEK_CPU="avx2"),
        }
        if COUNT:
            programs = {program: programs[program] for program in ["rclip", "snapseek, first run"]}
        results = {program: [] for program in programs}
        for _ in range(ROUNDS):
            for program, work in programs.items():
                results[program].append(work())
        medians = {program: [statistics.median(column) for column in zip(*runs)] for program, runs in results.items()}
        theirs = medians["rclip"]
        print(f"\n{name}, {len(list(folder.glob('*')))} files, medians of {ROUNDS}")
        for program, (wall, used, peak) in medians.items():
            print(f"  {program:<26} wall {wall:7.1f} s ({theirs[0] / wall:4.1f} x), processor {used:7.1f} s "
                  f"({theirs[1] / used:4.1f} x), peak {peak:6.0f} MB", flush=True)


main()
