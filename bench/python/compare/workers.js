// The work of bench/python/lock.py in Node.js: the same lines parsed and answered by so many worker threads, which share
// nothing: each has a map of its own.
//
//     WORKERS=2 LINES=400000 node bench/python/compare/workers.js
'use strict';

const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');
const rules = require('../../nodejs/rules.js');

const CLIENTS = 10_000;

function answer(known, line) {
  const [command, client, location, timestamp] = line.match(rules.FIELD) ?? [];
  if (command !== 'IAMAT' || !rules.LOCATION.test(location) || !rules.TIMESTAMP.test(timestamp)) return `? ${line}\n`;
  const moment = rules.moment(timestamp);
  const at = `AT Alford ${rules.skew(rules.now(), moment)} ${client} ${location} ${timestamp}`;
  const old = known.get(client);
  if (!old || old.moment[0] < moment[0] || (old.moment[0] === moment[0] && old.moment[1] < moment[1])) {
    known.set(client, { moment, at });
  }
  return `${at}\n`;
}

function work(first, count) {
  const lines = [];
  for (let number = first; number < first + count; number += 1) {
    lines.push(`IAMAT client-${number % CLIENTS}.example +34.068930-118.445127 ${1_479_413_884 + number}.392014450`);
  }
  const pass = () => {
    const known = new Map();
    let size = 0;
    for (const line of lines) size += answer(known, line).length;
    if (known.size === 0 || size < count * 60) throw new Error('lines were refused');
  };
  // The engine compiles what runs often.
  pass();
  parentPort.postMessage('ready');
  parentPort.once('message', () => {
    pass();
    parentPort.postMessage('done');
  });
}

async function measure(workers, count) {
  const share = Math.floor(count / workers);
  const all = Array.from({ length: workers }, (_, number) =>
    new Worker(__filename, { workerData: { first: number * share, count: share } }));
  const told = (worker) => new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  await Promise.all(all.map(told));
  const start = process.hrtime.bigint();
  const done = Promise.all(all.map(told));
  for (const worker of all) worker.postMessage('go');
  await done;
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  for (const worker of all) await worker.terminate();
  console.log(JSON.stringify({ lines: share * workers, seconds }));
}

if (isMainThread) measure(Number(process.env.WORKERS), Number(process.env.LINES));
else work(workerData.first, workerData.count);
