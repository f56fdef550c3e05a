// The same on a command line: SITE=http://127.0.0.1:8000 TOKEN=mgt_... node built/try.js
import { connect, Refused } from "./mediagen.js";

const mediagen = connect(process.env["SITE"] ?? "http://127.0.0.1:8000", process.env["TOKEN"] ?? "");

const key = crypto.randomUUID();
const generation = await mediagen.ask("A lighthouse in the fog", key);
for await (const told of mediagen.watch(generation)) {
  if (told.name === "attempt") console.log(told.name, told.data.provider, told.data.outcome);
  if (told.name === "asset") console.log(told.name, told.data.state, told.data.failure?.code ?? "");
  if (told.name === "done") console.log(told.name, told.data.state);
}
const again = await mediagen.ask("A lighthouse in the fog", key);
const [asset] = await mediagen.gallery("lighthouse");
if (!asset || again.id !== generation.id) throw new Error("The picture is not where it should be.");
console.log("gallery", asset.id, asset.width, asset.may.approve);
console.log("approved", (await mediagen.approve(asset)).review);

try {
  await mediagen.ask("", crypto.randomUUID());
} catch (error) {
  if (!(error instanceof Refused)) throw error;
  console.log("refused", error.problem.type satisfies `urn:mediagen:problem:${string}`, error.problem.field);
}
