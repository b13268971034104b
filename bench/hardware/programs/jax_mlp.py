"""JAX: jitted training of an MLP with Adam written out, then sort, FFT, Cholesky and a scan."""

import os

os.environ.setdefault("XLA_FLAGS", "--xla_gpu_deterministic_ops=true --xla_gpu_autotune_level=0")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import bench_program as bench

args = bench.arguments(__doc__)
if args.device == "cpu":
    os.environ["JAX_PLATFORMS"] = "cpu"
import jax
import jax.numpy as jnp
import numpy as np

program = bench.Program("jax_mlp", args)
width, depth, batch, steps = (8192, 8, 16384, 8) if program.large else (256, 4, 512, 6)


def add(tree) -> None:
    for leaf in jax.tree_util.tree_leaves(tree):
        program.add_bytes(memoryview(np.ascontiguousarray(np.asarray(leaf)).reshape(-1).view(np.uint8)))


keys = jax.random.split(jax.random.PRNGKey(bench.SEED), depth + 2)
weights = [jax.random.normal(key, (width, width), jnp.float32) * (2 / width) ** 0.5 for key in keys[:depth]]
data = jax.random.normal(keys[-1], (batch, width), jnp.float32)
target = jax.random.normal(keys[-2], (batch, width), jnp.float32)


def loss_of(parameters, inputs, wanted):
    for weight in parameters:
        inputs = jax.nn.relu(inputs @ weight)
    return jnp.mean((inputs - wanted) ** 2)


def train(parameters, first, second, number, inputs, wanted):
    value, slope = jax.value_and_grad(loss_of)(parameters, inputs, wanted)
    first = jax.tree_util.tree_map(lambda m, g: 0.9 * m + 0.1 * g, first, slope)
    second = jax.tree_util.tree_map(lambda v, g: 0.999 * v + 0.001 * g * g, second, slope)
    rate = 1e-3 * jnp.sqrt(1 - 0.999**number) / (1 - 0.9**number)
    parameters = jax.tree_util.tree_map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-8), parameters, first, second)
    return parameters, first, second, value


train = jax.jit(train, donate_argnums=(0, 1, 2))
state = [weights, [jnp.zeros_like(w) for w in weights], [jnp.zeros_like(w) for w in weights]]


def step(index: int) -> None:
    *state[:], value = train(*state, jnp.float32(index + 1), data, target)
    program.loss(float(value))


@jax.jit
def others(x):
    square = x[:128, :128]
    spd = square @ square.T + 128 * jnp.eye(128)
    last, every = jax.lax.scan(lambda c, row: (c * 0.9 + row, c.sum()), x[0], x[:32])
    return jnp.sort(x[:64], axis=-1), jnp.fft.rfft(x[:64]), jnp.linalg.cholesky(spd), last, every


program.timed(step, lambda: jax.block_until_ready(state), warm=2, steps=steps)
add(state)
add(others(data))
statistics = jax.devices()[0].memory_stats() or {}
program.finish(peak=int(statistics.get("peak_bytes_in_use", 0)))
