#!/usr/bin/env python3
"""Random checkpoints of BLIP-2 with T5 and of BLIP-2's heads for retrieval in their published sizes, and what they cost in
PyTorch, beside snapseek.

    python benches/blip2_families.py DIR [t5,itm]

writes DIR/NAME once (f32, as published: 16 and 5 GB), times PyTorch on all threads (medians of 3; answers once, after one to warm up), and then runs
`cargo bench --bench blip2 -- measure DIR/NAME`. Needs torch and transformers; the tokenizers are those of
fixtures/reference, so that texts are nothing but numbers.
"""
import gc, json, pathlib, shutil, statistics, subprocess, sys, time
import torch, transformers
from transformers import Blip2Config, Blip2ForConditionalGeneration, Blip2ForImageTextRetrieval

ROOT = pathlib.Path(__file__).parent.parent
OUT = pathlib.Path(sys.argv[1])
TOKENS, QUERIES = 24, 32
# Salesforce/blip2-flan-t5-xl and Salesforce/blip2-itm-vit-g; what is left out is the default.
T5_XL = dict(model_type="t5", vocab_size=32128, d_model=2048, d_kv=64, d_ff=5120, num_layers=24, num_heads=32,
             feed_forward_proj="gated-gelu", dense_act_fn="gelu", is_gated_act=True, tie_word_embeddings=False,
             decoder_start_token_id=0, pad_token_id=0, eos_token_id=1, bos_token_id=1)
CONFIGS = {
    "t5": (Blip2ForConditionalGeneration, dict(text_config=T5_XL, use_decoder_only_language_model=False, image_token_index=32100)),
    "itm": (Blip2ForImageTextRetrieval, dict(qformer_config=dict(use_qformer_text_input=True, vocab_size=30523), image_token_index=30523)),
}


def checkpoint(name):
    """Random weights of that name, written if they are not there, and read as a user's would be."""
    kind, config = CONFIGS[name]
    folder = OUT / name
    if not (folder / "config.json").exists():
        torch.manual_seed(0)
        model = kind(Blip2Config(num_query_tokens=QUERIES, **config))
        model.save_pretrained(folder, max_shard_size="10GB")
        del model
        gc.collect()
        small = ROOT / f"fixtures/reference/blip2-{name}"
        shutil.copyfile(small / "tokenizer.json", folder / "tokenizer.json")
        preprocessor = json.loads((small / "preprocessor_config.json").read_text())
        preprocessor["size"] = dict(height=224, width=224)
        (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return kind.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval(), folder


def timed(work, runs=3):
    work()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def peak():
    status = pathlib.Path("/proc/self/status").read_text()
    return next(line for line in status.splitlines() if line.startswith("VmHWM"))


def measure_t5(model):
    pixels = torch.rand(1, 3, 224, 224)
    ids = torch.tensor([[32100] * QUERIES + list(range(100, 110)) + [1]])
    print(f"picture {timed(lambda: model.qformer(query_embeds=model.query_tokens, encoder_hidden_states=model.vision_model(pixel_values=pixels)[0])):.2f} s")
    for beams in [1, 5]:
        run = lambda n: model.generate(pixel_values=pixels, input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=n,
                                       min_new_tokens=n, num_beams=beams, do_sample=False)
        one, all_of_them = timed(lambda: run(1), 1), timed(lambda: run(TOKENS + 1), 1)
        print(f"{beams} beams: picture, prompt and first token {one:.2f} s, then {(all_of_them - one) / TOKENS * 1e3:.0f} ms a round")


def measure_itm(model):
    pixels, ids = torch.rand(1, 3, 224, 224), torch.tensor([[30523] * QUERIES + [101] + list(range(200, 208)) + [102]])
    print(f"vision tower {timed(lambda: model.vision_model(pixel_values=pixels)):.2f} s")
    for matching in [True, False]:
        run = lambda: model(pixel_values=pixels, input_ids=ids, attention_mask=torch.ones_like(ids), use_image_text_matching_head=matching)
        print(f"{'ITM' if matching else 'ITC'}: a photo and a text {timed(run):.2f} s, the vision tower included")


for name in sys.argv[2].split(",") if len(sys.argv) > 2 else CONFIGS:
    start = time.perf_counter()
    model, folder = checkpoint(name)
    print(f"{name}: PyTorch {torch.__version__}, {torch.get_num_threads()} threads, ready after {time.perf_counter() - start:.0f} s", flush=True)
    with torch.inference_mode():
        {"t5": measure_t5, "itm": measure_itm}[name](model)
    print(peak(), flush=True)
    del model
    gc.collect()
    subprocess.run(["cargo", "bench", "-q", "--bench", "blip2", "--", "measure", folder], cwd=ROOT, check=True)
