#!/usr/bin/env python3
"""Random checkpoints of families of models in their published sizes, and what they cost in PyTorch, beside snapseek.

    python benches/families_reference.py DIR [NAME,...]

writes DIR/NAME once, times PyTorch on one thread (a photo in a batch of 8, a text of 8 words alone; medians of 5), and then
runs `cargo bench --bench speed -- family DIR/NAME`. Needs torch, transformers, open_clip_torch, timm; the tokenizers are
those of fixtures/reference, so that texts are nothing but numbers.
"""
import json, pathlib, resource, shutil, statistics, subprocess, sys, time
import torch, transformers
from safetensors.torch import save_file

ROOT = pathlib.Path(__file__).parent.parent
FAMILIES = ROOT / "fixtures/reference/families"
OUT = pathlib.Path(sys.argv[1])
torch.manual_seed(0)
torch.set_num_threads(1)
PREPROCESSOR = {"size": {"height": 224, "width": 224}, "do_center_crop": False, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}


def copy(family, folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        shutil.copyfile(FAMILIES / family / name, folder / name)


def hf(folder, model, size):
    """A model of transformers, its pictures' edge, and how it is asked."""
    if not (folder / "model.safetensors").exists():
        model.save_pretrained(folder)
        edge = {"height": size, "width": size}
        (folder / "preprocessor_config.json").write_text(json.dumps({**PREPROCESSOR, "size": edge}))
    return model.eval()


def clip(folder):
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(ROOT / "fixtures/reference/clip-random/tokenizer.json", folder / "tokenizer.json")
    model = hf(folder, transformers.CLIPModel(transformers.CLIPConfig()), 224)
    return model.get_image_features, model.get_text_features, 224, 10


def siglip2_b32_256(folder):
    copy("siglip2", folder, "tokenizer.json", "tokenizer_config.json")
    text = dict(vocab_size=256000)
    config = transformers.SiglipConfig(text_config=text, vision_config=dict(image_size=256, patch_size=32))
    model = hf(folder, transformers.SiglipModel(config), 256)
    return model.get_image_features, model.get_text_features, 256, 64


def chinese_clip_b16(folder):
    copy("chinese-clip", folder, "vocab.txt")
    text = dict(vocab_size=21128)
    config = transformers.ChineseCLIPConfig(text_config=text, vision_config=dict(patch_size=16))
    model = hf(folder, transformers.ChineseCLIPModel(config), 224)
    return model.get_image_features, model.get_text_features, 224, 10


def mobileclip(name, folder):
    import open_clip
    copy("mobileclip", folder, "tokenizer.json")
    model = open_clip.create_model(name, pretrained=None).eval()
    if not (folder / "open_clip_model.safetensors").exists():
        save_file({key: value.contiguous() for key, value in model.state_dict().items()}, folder / "open_clip_model.safetensors")
        preprocess = dict(mean=[0.0] * 3, std=[1.0] * 3, interpolation="bilinear", resize_mode="shortest")
        config = dict(model_cfg=open_clip.get_model_config(name), preprocess_cfg=preprocess)
        (folder / "open_clip_config.json").write_text(json.dumps(config))
    return model.encode_image, model.encode_text, 256, 77


def clip_multilingual(folder):
    for part in ["", "1_Pooling", "2_Dense"]:
        (folder / part).mkdir(parents=True, exist_ok=True)
    for name in ["modules.json", "sentence_bert_config.json", "tokenizer.json", "1_Pooling/config.json"]:
        shutil.copyfile(FAMILIES / "st-multilingual" / name, folder / name)
    model = transformers.DistilBertModel(transformers.DistilBertConfig(vocab_size=119547)).eval()
    if not (folder / "model.safetensors").exists():
        model.save_pretrained(folder)
        dense = dict(in_features=768, out_features=512, bias=False, activation_function="torch.nn.modules.linear.Identity")
        (folder / "2_Dense/config.json").write_text(json.dumps(dense))
        save_file({"linear.weight": torch.randn(512, 768)}, folder / "2_Dense/model.safetensors")
    return None, model, 0, 10


MODELS = {
    "clip": clip,
    "siglip2-b32-256": siglip2_b32_256,
    "chinese-clip-b16": chinese_clip_b16,
    "mobileclip-s2": lambda folder: mobileclip("MobileCLIP-S2", folder),
    "clip-multilingual": clip_multilingual,
}


def timed(work):
    work()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


for name in sys.argv[2].split(",") if len(sys.argv) > 2 else MODELS:
    pictures, texts, size, tokens = MODELS[name](OUT / name)
    ids = torch.randint(5, 400, (1, tokens))
    with torch.inference_mode():
        line = f"{name}: PyTorch {torch.__version__}"
        if pictures:
            pixels = torch.rand(8, 3, size, size)
            line += f", photo {timed(lambda: pictures(pixels)) / 8:.1f} ms"
        line += f", text {timed(lambda: texts(ids)):.1f} ms"
    print(f"{line}, peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB so far", flush=True)
    del pictures, texts
    subprocess.run(["cargo", "bench", "-q", "--bench", "speed", "--", "family", OUT / name], cwd=ROOT, check=True)
