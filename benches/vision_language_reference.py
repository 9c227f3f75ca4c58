#!/usr/bin/env python3
"""The cost of the same checkpoint in PyTorch transformers (SmolVLM, LLaVA, Idefics 2): load, vision tower, prompt, tokens a
second, peak memory.

    python benches/vision_language_reference.py DIR float32|bfloat16 TILES PROMPT [THREADS]

`cargo bench --bench vision_language -- write DIR 500m` writes DIR, and `measure DIR` tells how many tokens its PROMPT has; a photo of 4:3
has 13 TILES in SmolVLM, one that is seen as a whole 1. The greedy loop calls the language model itself, so that nothing else is measured. Needs
torch and transformers.
"""
import resource, statistics, sys, time
import torch
from transformers import AutoModelForImageTextToText, DynamicCache

directory, dtype, tiles, length = sys.argv[1], getattr(torch, sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
torch.set_num_threads(int(sys.argv[5]) if len(sys.argv) > 5 else torch.get_num_threads())
TOKENS = 30

def timed(work, runs=3):
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)

start = time.perf_counter()
model = AutoModelForImageTextToText.from_pretrained(directory, dtype=dtype, local_files_only=True).eval()
print(f"{sys.argv[2]}, {torch.get_num_threads()} threads, torch {torch.__version__}\nload               {time.perf_counter() - start:8.2f} s")
config, kind = model.config.vision_config, model.config.model_type
# Idefics 2 sees a photo of 4:3 in its shape, the others see squares.
width, height = config.image_size, config.image_size * 3 // 4 // config.patch_size * config.patch_size if kind == "idefics2" else config.image_size
pixels = (torch.rand(tiles, 3, height, width) * 2 - 1).to(dtype)
mask = torch.ones(tiles, height // config.patch_size, width // config.patch_size, dtype=torch.bool)
with torch.inference_mode():
    def look():
        if kind == "llava":
            states = model.model.vision_tower(pixels, output_hidden_states=True).hidden_states[-2][:, 1:]
            return model.model.multi_modal_projector(states).flatten(0, 1)
        states = model.model.vision_model(pixel_values=pixels, patch_attention_mask=mask).last_hidden_state
        more = {"attention_mask": mask.flatten(1)} if kind == "idefics2" else {}
        return model.model.connector(states, **more).flatten(0, 1)
    first = timed(look, 1)
    print(f"first photo        {first:8.2f} s\nphoto              {timed(look, 1):8.2f} s")
    seen, text = look(), model.model.language_model if kind == "llava" else model.model.text_model
    # A prompt as long as the real one: the picture, and words around it.
    words = text.embed_tokens(torch.arange(length - len(seen)) % 256 + 40)
    prompt = torch.cat([words[:3], seen.to(dtype), words[3:]])[None]

    def write(count, tokens):
        cache, x = DynamicCache(config=model.config.text_config), prompt.expand(count, -1, -1)
        for _ in range(tokens):
            states = text(inputs_embeds=x, past_key_values=cache).last_hidden_state[:, -1:]
            x = text.embed_tokens(model.lm_head(states).argmax(-1))

    print(f"prompt             {prompt.shape[1]:8} tokens")
    write(1, 1)
    for count in (1, 4):
        begun, all_ = timed(lambda: write(count, 1)), timed(lambda: write(count, TOKENS + 1))
        step = (all_ - begun) / TOKENS
        print(f"{count} texts, first token {begun:6.2f} s, then {step * 1e3:7.1f} ms a round, {count / step:6.2f} tokens a second")
print(f"peak memory        {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:8.0f} MB")
