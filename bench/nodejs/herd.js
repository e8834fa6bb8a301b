// A node of the herd in Node.js: one event loop on net sockets. bench/README.md has the command line.
//
// Text is read and written as latin1, a character a byte, so that a client's bytes come back as they came. A chunk is a
// batch of lines, whose replies leave in one write.
'use strict';

const http = require('node:http');
const net = require('node:net');
const { BOUND, FAILED, FIELD, LOCATION, RADIUS, SKEW, TIMESTAMP, ...rules } = require('./rules.js');
const { address, cut, flushLog, log, moment, now, options, skew, target } = rules;

const BACKLOG = 4096;
const LINE_BYTES = 16 * 1024;
const SHOWN_BYTES = 64; // of a line that is too long
const OUTBOX_BYTES = 8 * 1024 * 1024; // for one peer; what finds no room is lost
const RETRY_MS = 1000;
const LOOKUP_MS = 6000;
const DRAIN_MS = 10000;

const id = options.id;
const known = new Map(); // by client: seconds, nanoseconds and the AT line
const links = new Map(); // by peer's id: its socket
const peers = new Map(options.peer.map((peer) => peer.split('=')));
const sessions = new Set();
let connections = 0;
let isStopping = false;

const agent = new http.Agent({ keepAlive: true, maxFreeSockets: 1024, noDelay: true });

function ask(location, radius) {
  const url = options.upstream + target(location, radius);
  return new Promise((resolve, reject) => {
    const request = http.get(url, { agent, signal: AbortSignal.timeout(LOOKUP_MS) }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === 200) resolve(Buffer.concat(chunks).toString('latin1'));
        else reject(new Error(`the upstream answered ${response.statusCode}`));
      });
    });
    request.on('error', (error) => {
      // A connection that was kept may have been closed meanwhile.
      if (request.reusedSocket && error.code === 'ECONNRESET') ask(location, radius).then(resolve, reject);
      else reject(error);
    });
  });
}

async function places(number, line, end, at, radius, bound) {
  let [text, count] = [FAILED, 0];
  try {
    [text, count] = cut(await ask(at.split(' ')[4], radius), Number(bound));
  } catch {
    // The client is told that the upstream has failed.
  }
  log(`${number} < ${line}`, `${number} > ${at}`, `${number} > [${count} results, ${text.length} bytes]`);
  return at + end + text + end + end;
}

// Keeps what is strictly newer, and tells it to all peers but the one it came from.
function learn(client, time, at, sender) {
  const old = known.get(client);
  if (old && (old.time[0] > time[0] || (old.time[0] === time[0] && old.time[1] >= time[1]))) return;
  known.set(client, { time, at });
  const news = `${at} ${id}`;
  for (const [peer, socket] of links) {
    if (peer === sender || socket.writableLength > OUTBOX_BYTES) continue;
    log(`${socket.number} > ${news}`);
    socket.write(`${news}\n`, 'latin1');
  }
}

// The reply to a line, or a promise of it.
function execute(number, line, end) {
  if (line.length > LINE_BYTES) return invalid(number, line.slice(0, SHOWN_BYTES), end);
  const fields = line.match(FIELD) ?? [];
  const [keyword, client] = fields;
  if (keyword === 'IAMAT' && fields.length === 4 && LOCATION.test(fields[2]) && TIMESTAMP.test(fields[3])) {
    const time = moment(fields[3]);
    const at = `AT ${id} ${skew(now(), time)} ${client} ${fields[2]} ${fields[3]}`;
    log(`${number} < ${line}`, `${number} > ${at}`);
    learn(client, time, at);
    return at + end;
  }
  if (keyword === 'WHATSAT' && fields.length === 4 && RADIUS.test(fields[2]) && BOUND.test(fields[3])) {
    if (options.upstream && known.has(client)) {
      return places(number, line, end, known.get(client).at, fields[2], fields[3]);
    }
  }
  if (keyword === 'AT' && fields.length === 7 && peers.has(fields[6])) {
    if (SKEW.test(fields[2]) && LOCATION.test(fields[4]) && TIMESTAMP.test(fields[5])) {
      log(`${number} < ${line}`);
      learn(fields[3], moment(fields[5]), fields.slice(0, 6).join(' '), fields[6]);
      return '';
    }
  }
  return invalid(number, line, end);
}

function invalid(number, line, end) {
  log(`${number} < ${line}`, `${number} > ? ${line}`);
  return `? ${line}${end}`;
}

function prepare(socket) {
  connections += 1;
  socket.number = `#${connections}`;
  socket.setNoDelay(true);
  socket.on('error', () => {}); // 'close' follows
}

async function session(socket) {
  prepare(socket);
  sessions.add(socket);
  socket.on('close', () => sessions.delete(socket));
  const number = socket.number;
  let [rest, tooLong] = ['', ''];
  const write = async (replies) => {
    if (replies && !socket.write(replies, 'latin1')) {
      await new Promise((resolve) => socket.once('drain', resolve).once('close', resolve));
    }
  };
  const batch = async (chunk) => {
    const lines = (rest + chunk.toString('latin1')).split('\n');
    rest = lines.pop();
    let replies = '';
    for (const text of lines) {
      const [end, line] = text.endsWith('\r') ? ['\r\n', text.slice(0, -1)] : ['\n', text];
      let reply = execute(number, tooLong || line, end);
      tooLong = '';
      if (typeof reply !== 'string') {
        await write(replies); // what is owed does not wait for a lookup
        [replies, reply] = ['', await reply];
      }
      replies += reply;
    }
    if (rest.length > LINE_BYTES + 1) tooLong ||= rest; // a CR may be the terminator's
    if (tooLong) rest = rest.slice(-1);
    await write(replies);
  };
  try {
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) await batch(chunk);
    if ((rest || tooLong) && !isStopping) await write(await execute(number, tooLong || rest, '\n'));
    socket.end();
  } catch {
    socket.destroy();
  }
}

// What this node says to a peer. What the peer says on it is thrown away.
function link(peer) {
  const socket = net.connect(address(peers.get(peer)), () => {
    links.set(peer, socket);
    console.log(`linked ${peer}`);
  });
  prepare(socket);
  socket.resume();
  socket.on('close', () => {
    links.delete(peer);
    if (!isStopping) setTimeout(link, RETRY_MS, peer);
  });
}

const server = net.createServer({ allowHalfOpen: true }, session);
server.listen({ ...address(options.listen), backlog: BACKLOG }, () => {
  console.log(`listening ${server.address().address}:${server.address().port}`);
  for (const peer of peers.keys()) link(peer);
});
const ticks = setInterval(flushLog, 1000);

function finish() {
  flushLog();
  process.exit(0);
}

process.on('SIGTERM', () => {
  isStopping = true;
  clearInterval(ticks);
  server.close(finish); // once all sessions are over
  setTimeout(finish, DRAIN_MS);
  for (const socket of sessions) socket.push(null); // what was read is finished
  for (const socket of links.values()) socket.end();
});
