const byId = (id) => document.getElementById(id);
const view = byId("view"), video = byId("video"), stage = byId("stage"), size = byId("size"), status = byId("status");
const answer = byId("answer"), seen = byId("seen"), camera = byId("camera"), hold = byId("hold");
let source = null;  // the image, as an ImageBitmap, or the video of the camera
let stream = null;  // of the camera, while it is on
let isBusy = false, isStale = false;
let opening = 0;  // counts what was asked for: a slower one before it does not take its place
let title = "";  // of the image
let failure = "";  // why there will be no answer on this page

const bars = facts.classes.map((name) => {
  const row = document.createElement("div"), label = document.createElement("dt"), value = document.createElement("dd");
  const track = document.createElement("span"), bar = document.createElement("span"), share = document.createElement("data");
  label.textContent = name;
  share.textContent = "–";
  track.className = "track";
  track.append(bar);
  value.append(track, share);
  row.append(label, value);
  byId("bars").append(row);
  return { row, bar, share };
});

const square = new Square(byId("square"), stage, () => {
  size.min = square.smallest;
  size.max = square.largest;
  size.value = square.side;
  if (square.isSet && source && source !== video) say(title);
  judge();
});

// RGBA bytes of the square, as they are in the image: turned by EXIF, without a colour profile, transparent on white.
function cutSquare() {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = square.side;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, square.side, square.side);
  context.drawImage(source, -square.left, -square.top);
  return context.getImageData(0, 0, square.side, square.side).data;
}

// As sources/decoded.py refuses an image.
function isPlain(pixels) {
  for (let c = 0; c < 3; c++) {
    let least = 255, most = 0;
    for (let i = c; i < pixels.length; i += 4) {
      if (pixels[i] < least) least = pixels[i];
      if (pixels[i] > most) most = pixels[i];
    }
    if (most - least > facts.plain_range) return false;
  }
  return true;
}

// Judges the square as it is now; while it is busy, once more when it is done. No face was put into one that waits.
async function judge() {
  if (!source || !classify) return;
  const isAsked = () => source === video || square.isSet;
  if (!isAsked()) return forget("Put the square around a face");
  if (isBusy) { isStale = true; return; }
  isBusy = true;
  try {
    do {
      isStale = false;
      const start = performance.now(), asked = source, pixels = cutSquare();
      if (isPlain(pixels)) {
        forget("Nothing to see: all pixels have the same colour");
        continue;
      }
      const rgb = resizeSquare(pixels, square.side, facts.size);
      const probabilities = await classify(rgb);
      if (source === asked && isAsked()) show(probabilities, rgb, performance.now() - start);
    } while (isStale);
  } catch (error) {
    say(`The image could not be judged: ${error.message}.`, true);
  } finally {
    isBusy = false;
  }
}

function show(probabilities, rgb, ms) {
  const best = probabilities.indexOf(Math.max(...probabilities)), percent = (value) => `${(100 * value).toFixed(1)} %`;
  for (const [place, { row, bar, share }] of bars.entries()) {
    row.classList.toggle("best", place === best);
    bar.style.width = `${100 * probabilities[place]}%`;
    share.textContent = percent(probabilities[place]);
    share.value = probabilities[place];
  }
  answer.textContent = `${facts.classes[best]}, ${percent(probabilities[best])}`;
  byId("time").textContent = `${ms.toFixed(0)} ms`;
  const pixels = new ImageData(facts.size, facts.size);
  for (let i = 0, j = 0; i < rgb.length; i += 3, j += 4) pixels.data.set([rgb[i], rgb[i + 1], rgb[i + 2], 255], j);
  seen.width = seen.height = facts.size;
  seen.getContext("2d").putImageData(pixels, 0, 0);
  document.body.classList.add("judged");
}

// Leaves no answer on the page that belongs to another image.
function forget(text) {
  for (const { row, bar, share } of bars) {
    row.classList.remove("best");
    bar.style.width = "0";
    share.textContent = "–";
    share.removeAttribute("value");
  }
  answer.textContent = failure ? "No answer" : text;
  document.body.classList.remove("judged");
}

function say(text, isError = false) {
  status.textContent = failure || text;
  status.classList.toggle("error", isError || failure !== "");
}

async function open(file) {
  const name = file.name || "Image", mine = ++opening;
  let image;
  try {
    image = await createImageBitmap(file, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch {
    if (mine === opening) refuse(`${name}: this browser cannot read it as an image; try JPEG or PNG.`);
    return;
  }
  if (mine !== opening) return;
  const { width, height } = image, least = facts.smallest_side;
  if (Math.min(width, height) >= least) present(image, name);
  else refuse(`${name}: ${width} × ${height} pixels, at least ${least} a side are needed.`);
}

function refuse(reason) {
  close();
  say(reason, true);
}

function close() {
  stopCamera();
  source = null;
  document.body.classList.remove("opened");
  forget("No image yet");
}

function present(image, name) {
  stopCamera();
  title = `${name}, ${image.width} × ${image.height} pixels.`;
  source = image;
  const scale = Math.min(1, 1600 / Math.max(image.width, image.height));
  view.width = Math.max(1, Math.round(image.width * scale));
  view.height = Math.max(1, Math.round(image.height * scale));
  view.getContext("2d").drawImage(image, 0, 0, view.width, view.height);
  showStage(image.width, image.height);
  const task = square.isSet ? "Taken as a face; a smaller square looks at less of it." : "Put the square around one face, from forehead to chin; if it is there already, press it.";
  say(`${title} ${task}`);
}

function showStage(width, height) {
  document.body.classList.add("opened");
  document.body.classList.toggle("live", stream !== null);
  stage.style.aspectRatio = `${width} / ${height}`;
  stage.style.maxWidth = `${Math.max(width, 320)}px`;
  stage.style.setProperty("--ratio", width / height);
  square.centre(width, height);
}

async function startCamera() {
  opening++;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user" }, audio: false });
  } catch (error) {
    return say(`The camera cannot be used (${error.message}).`, true);
  }
  video.srcObject = stream;
  await video.play();
  source = video;
  showStage(video.videoWidth, video.videoHeight);
  camera.textContent = "Stop the camera";
  answer.setAttribute("aria-live", "off");  // it would be read out many times a second
  say("The camera is on. What it sees stays in this page.");
  const next = async () => {
    if (source !== video || !stream) return;
    await judge();
    requestAnimationFrame(next);
  };
  next();
}

function stopCamera() {
  if (!stream) return;
  for (const track of stream.getTracks()) track.stop();
  stream = null;
  video.srcObject = null;
  camera.textContent = "Use the camera";
  answer.setAttribute("aria-live", "polite");
  document.body.classList.remove("live");
}

// The frame that is seen, as an image, with the square where it is.
async function holdFrame() {
  const { left, top, side } = square, frame = await createImageBitmap(video);
  present(frame, "Frame of the camera");
  square.isSet = true;
  square.place(left, top, side);
}

byId("file").addEventListener("change", (event) => {
  if (event.target.files[0]) open(event.target.files[0]);
  event.target.value = "";  // so that the same file can be chosen again
});
size.addEventListener("input", () => square.resize(Number(size.value)));
hold.addEventListener("click", holdFrame);
camera.hidden = !navigator.mediaDevices?.getUserMedia;
camera.addEventListener("click", () => {
  if (!stream) return startCamera();
  close();
  say("The camera is off. Choose an image, drop one here, or paste one.");
});
for (const name of ["dragenter", "dragover"]) document.addEventListener(name, (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  openFirst(event.dataTransfer.files, "Drop an image file: a link would have to be fetched, and this page fetches nothing.");
});
document.addEventListener("paste", (event) => openFirst(event.clipboardData.files, "The clipboard holds no image."));

function openFirst(files, otherwise) {
  if (files.length) open(files[0]);
  else say(otherwise, true);
}

let classify = null;
startNetwork().then((started) => {
  classify = started;
  document.body.classList.add("ready");
  if (source) judge();
  else say("Choose an image, drop one here, or paste one.");
}, (error) => {
  failure = `The network cannot run here: ${error.message.replace(/[. ]+$/, "")}. A recent Chromium, Chrome or Edge has `
    + "what it needs: DecompressionStream, and WebAssembly with SIMD.";
  say(failure, true);
  forget("No answer");
});
