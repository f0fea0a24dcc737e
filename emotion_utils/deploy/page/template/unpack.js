// What an element of the page holds in base64 and gzip. Its text is let go: the page is large.
async function unpack(id) {
  const element = document.getElementById(id), text = atob(element.textContent), bytes = new Uint8Array(text.length);
  element.remove();
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

