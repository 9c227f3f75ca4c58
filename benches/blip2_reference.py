#!/usr/bin/env python3
"""The cost of the same checkpoint in PyTorch transformers: load, vision tower, prompt, tokens a second, peak memory.

    python benches/blip2_reference.py DIR float32|bfloat16|float16 [THREADS]

`cargo bench --bench blip2 -- write DIR` writes DIR. Needs torch and transformers.
"""
import resource, statistics, sys, time
import torch
from transformers import Blip2ForConditionalGeneration

directory, dtype = sys.argv[1], getattr(torch, sys.argv[2])
torch.set_num_threads(int(sys.argv[3]) if len(sys.argv) > 3 else torch.get_num_threads())
TOKENS, PROMPT_TOKENS, QUERIES, IMAGE = 24, 27, 32, 50265

def timed(work, runs=3):
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)

start = time.perf_counter()
model = Blip2ForConditionalGeneration.from_pretrained(directory, dtype=dtype, local_files_only=True).eval()
print(f"{sys.argv[2]}, {torch.get_num_threads()} threads, torch {torch.__version__}\nload               {time.perf_counter() - start:8.2f} s")
pixels = torch.rand(1, 3, 224, 224).to(dtype)
ids = torch.tensor([[IMAGE] * QUERIES + [2] + list(range(100, 100 + PROMPT_TOKENS - 1))])
with torch.inference_mode():
    def vision():
        states = model.vision_model(pixel_values=pixels)[0]
        return model.qformer(query_embeds=model.query_tokens.to(dtype), encoder_hidden_states=states)[0]
    vision()
    print(f"picture            {timed(vision):8.2f} s, median of 3")
    picture = model.language_projection(vision())
    embeds = torch.cat([picture, model.get_input_embeddings()(ids[:, QUERIES:])], dim=1).to(dtype)
    for name, count, beams in [("one answer", 1, 1), ("8 answers together", 8, 1), ("5 beams", 1, 5)]:
        inputs = dict(inputs_embeds=embeds.expand(count, -1, -1), attention_mask=torch.ones(count, embeds.shape[1]))
        run = lambda n: model.language_model.generate(**inputs, max_new_tokens=n, min_new_tokens=n, num_beams=beams, do_sample=False)
        run(1)
        prompt, whole = timed(lambda: run(1)), timed(lambda: run(TOKENS + 1))
        step = (whole - prompt) / TOKENS
        print(f"{name:<18} prompt {prompt:6.2f} s, then {step * 1e3:7.1f} ms a round, {count / step:6.2f} tokens a second")
print(f"peak memory        {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:8.2f} GB")
