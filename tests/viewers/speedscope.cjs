// Open a file with speedscope's own importer, and say what it made of it, as JSON.
//
//     node speedscope.cjs FILE
//
// The package holds the page alone, as one script without exports. It runs here up to
// the line where it would draw itself, and hands out the function that its page calls
// for a file that somebody opens; from there on every line is speedscope's.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const vm = require('node:vm');

const release = path.join(__dirname, 'node_modules', 'speedscope', 'dist', 'release');
const IMPORTER = /loadFileFromBase64:\((\w+),(\w+)\)=>\{this\.loadProfile\(\(\)=>(\w+)\(\1,\2\)\)\}/;
const DRAWING = 'console.log(`speedscope v${';

function loadImporter() {
  const name = fs.readdirSync(release).find(file => /^speedscope-\w+\.js$/.test(file));
  const text = fs.readFileSync(path.join(release, name), 'utf-8');
  const importer = IMPORTER.exec(text);
  const end = text.lastIndexOf(DRAWING);
  if (!importer || end < 0) {
    throw new Error(`${name} is not as it was: look for its importer anew`);
  }
  const handOut = `globalThis.opened=${importer[3]};return;`;
  const page = {
    console: { ...console, log: () => {} }, // stdout is for the answer
    TextDecoder, TextEncoder, URL, Blob, atob, btoa, setTimeout, clearTimeout, performance,
    location: { hash: '', protocol: 'file:' },
    navigator: { userAgent: 'node', platform: 'linux' },
    addEventListener: () => {},
    matchMedia: () => ({ matches: false, addListener: () => {} }),
    localStorage: { getItem: () => null, setItem: () => {} },
    document: {
      createElement: () => ({ style: {}, getContext: () => null, appendChild: () => {} }),
      addEventListener: () => {},
      head: { appendChild: () => {} },
    },
  };
  page.window = page;
  page.self = page;
  vm.runInNewContext(text.slice(0, end) + handOut + text.slice(end), page);
  return page.opened;
}

function describe(profile) {
  const calls = [];
  profile.forEachCall(
    (node, at) => calls.push(['open', node.frame.name, at]),
    (node, at) => calls.push(['close', node.frame.name, at]),
  );
  const frames = [];
  profile.forEachFrame(frame =>
    frames.push({
      name: frame.name,
      file: frame.file,
      line: frame.line,
      total: frame.getTotalWeight(),
      own: frame.getSelfWeight(),
    }),
  );
  const unit = profile.getWeightUnit();
  return { name: profile.getName(), unit, total: profile.getTotalWeight(), calls, frames };
}

async function main() {
  const file = process.argv[2];
  const group = await loadImporter()(
    path.basename(file),
    fs.readFileSync(file).toString('base64'),
  );
  if (!group) {
    throw new Error('speedscope does not know the format');
  }
  const profiles = group.profiles.map(describe);
  process.stdout.write(JSON.stringify({ name: group.name, profiles }));
}

main().catch(error => {
  console.error(error);
  process.exitCode = 1;
});
