// What a map of so many clients' locations costs in Node.js: bytes of the heap a client, and the time of a full collection.
//
//     CLIENTS=1000000 node --expose-gc bench/python/compare/heap.js
'use strict';

const clients = Number(process.env.CLIENTS);

function used() {
  global.gc();
  return process.memoryUsage().heapUsed;
}

const before = used();
const known = new Map();
for (let number = 0; number < clients; number += 1) {
  const client = `client-${number}.example`;
  const at = `AT Alford +0.263873386 ${client} +34.068930-118.445127 1479413884.392014450`;
  known.set(client, { moment: [1_479_413_884, 392_014_450], at });
}
const bytes = (used() - before) / clients;
const start = process.hrtime.bigint();
global.gc();
const pause = Number(process.hrtime.bigint() - start) / 1e6;
if (known.size !== clients) throw new Error('the map is not whole');
console.log(JSON.stringify({ bytes, full_ms: pause }));
