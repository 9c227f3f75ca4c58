#!/usr/bin/env python3
"""The cost of the same SmolVLM checkpoint in PyTorch transformers: load, vision tower, prompt, tokens a second, peak memory.

    python benches/vision_language_reference.py DIR float32|bfloat16 TILES PROMPT [THREADS]

`cargo bench --bench vision_language -- write DIR 500m` writes DIR, and `measure DIR` tells how many tokens its PROMPT has; a photo of 4:3
has 13 TILES, one that is seen as a whole 1. The greedy loop calls the language model itself, so that nothing else is measured. Needs
torch and transformers.
"""
import resource, statistics, sys, time
import torch
from transformers import DynamicCache, Idefics3ForConditionalGeneration

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
model = Idefics3ForConditionalGeneration.from_pretrained(directory, dtype=dtype, local_files_only=True).eval()
print(f"{sys.argv[2]}, {torch.get_num_threads()} threads, torch {torch.__version__}\nload               {time.perf_counter() - start:8.2f} s")
config = model.config.vision_config
pixels = (torch.rand(tiles, 3, config.image_size, config.image_size) * 2 - 1).to(dtype)
mask = torch.ones(tiles, config.image_size // config.patch_size, config.image_size // config.patch_size, dtype=torch.bool)
with torch.inference_mode():
    def look():
        states = model.model.vision_model(pixel_values=pixels, patch_attention_mask=mask).last_hidden_state
        return model.model.connector(states).flatten(0, 1)
    first = timed(look, 1)
    print(f"first photo        {first:8.2f} s\nphoto              {timed(look, 1):8.2f} s")
    seen, text = look(), model.model.text_model
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
