"""Training of a Llama-type transformer with bf16 parameters and AdamW (--optimizer foreach or fused)."""

import bench_program as bench

args = bench.arguments(__doc__, optimizer=["foreach", "fused"])
torch = bench.torch_ready(args.device)
from llama import Llama, Shape

program = bench.Program(f"train_llama_{args.optimizer}", args)
if program.large:
    shape, batch, steps = Shape(32000, 2048, 5632, 16, 16, 4, 1024), 6, 8
else:
    shape, batch, steps = Shape(512, 128, 352, 3, 4, 2, 64), 4, 6

with torch.device(args.device):
    model = Llama(shape).to(torch.bfloat16)
    tokens = torch.randint(0, shape.vocabulary, (batch, shape.length + 1))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, **{args.optimizer: True})


def step(_: int) -> None:
    optimizer.zero_grad(set_to_none=True)
    logits = model(tokens[:, :-1])
    loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten())
    loss.backward()
    optimizer.step()
    program.loss(loss)


program.timed(step, bench.torch_synchronise(args.device), warm=2, steps=steps)
program.add_gradients(model)
program.add_parameters(model)
program.finish()
