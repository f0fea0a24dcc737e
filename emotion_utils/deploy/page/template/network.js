const facts = JSON.parse(document.getElementById("facts").textContent);

// A function from RGB bytes (size x size) to probabilities in the order of facts.classes, computed on one thread.
// Rejects where this browser lacks something, or computes other answers than the model has for two reference images.
async function startNetwork() {
  const address = URL.createObjectURL(new Blob([await unpack("loader")], { type: "text/javascript" }));
  const runtime = await import(address);
  URL.revokeObjectURL(address);
  runtime.env.wasm.numThreads = 1;  // more need headers that a file on disk does not have
  runtime.env.wasm.wasmBinary = await unpack("wasm");
  const session = await runtime.InferenceSession.create(await unpack("model"), { executionProviders: ["wasm"] });
  const classify = async (rgb) => {
    const images = new runtime.Tensor("uint8", rgb, [1, facts.size, facts.size, 3]);
    return Array.from((await session.run({ [facts.input]: images }))[facts.output].data);
  };
  for (const [which, expected] of facts.answers.entries()) {
    const found = await classify(referencePixels(which, facts.size));
    if (!expected.every((value, place) => Math.abs(value - found[place]) <= facts.tolerance))
      throw new Error("this browser computes other answers than the model gives");
  }
  return classify;
}

// The reference images of models/reference.py: waves, and a texture.
function referencePixels(which, size) {
  const rgb = new Uint8Array(size * size * 3);
  for (let y = 0, i = 0; y < size; y++) for (let x = 0; x < size; x++) for (let c = 0; c < 3; c++, i++)
    rgb[i] = which === 0 ? Math.floor((x * (3 + 2 * c) + y * (7 - 3 * c) + 40 * c) * 256 / size) % 256
      : (x * x * 31 + y * y * 17 + x * y * 13 + c * 89) % 251;
  return rgb;
}

