"""Greedy decoding with a KV cache of a random transformers Llama, bf16; a step is one call of generate."""

import bench_program as bench

args = bench.arguments(__doc__)
torch = bench.torch_ready(args.device)
from transformers import LlamaConfig, LlamaForCausalLM

program = bench.Program("generate_llama", args)
if program.large:
    sizes = {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32}
    batch, prompt, new, steps = 4, 512, 64, 2
else:
    sizes = {"hidden_size": 128, "intermediate_size": 352, "num_hidden_layers": 3, "num_attention_heads": 4}
    batch, prompt, new, steps = 2, 16, 24, 2
config = LlamaConfig(
    vocab_size=32000 if program.large else 512, num_key_value_heads=sizes["num_attention_heads"] // 4 or 1,
    max_position_embeddings=2048, bos_token_id=1, eos_token_id=None, pad_token_id=0, attn_implementation="sdpa", **sizes,
)
torch.set_default_dtype(torch.bfloat16)
with torch.device(args.device):
    model = LlamaForCausalLM(config).eval()
    tokens = torch.randint(2, config.vocab_size, (batch, prompt))
    mask = torch.ones_like(tokens)


@torch.no_grad()
def step(_: int) -> None:
    out = model.generate(
        tokens, attention_mask=mask, do_sample=False, max_new_tokens=new, min_new_tokens=new, use_cache=True,
        eos_token_id=None, pad_token_id=0,
    )
    program.add(out)


program.timed(step, bench.torch_synchronise(args.device), warm=1, steps=steps)
with torch.no_grad():
    program.add(model(tokens).logits)
program.finish()
