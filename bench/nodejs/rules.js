// What the Node.js model knows besides sockets: the fields of a line, the skew, the cut, the log and the command line.
'use strict';

const fs = require('node:fs');
const { parseArgs } = require('node:util');

const LOG_BYTES = 64 * 1024;

const LATITUDE = '[+-](?:0?[0-8]?[0-9](?:\\.[0-9]+)?|0?90(?:\\.0+)?)';
const LONGITUDE = '[+-](?:(?:0?[0-9]?[0-9]|1[0-7][0-9])(?:\\.[0-9]+)?|180(?:\\.0+)?)';
const LOCATION = new RegExp(`^(${LATITUDE})(${LONGITUDE})/?$`);
const TIMESTAMP = /^[0-9]{1,12}(?:\.[0-9]{1,9})?$/;
const SKEW = /^[+-](?:0|[1-9][0-9]{0,12})\.[0-9]{9}$/;
const RADIUS = /^0*(?:[0-4]?[0-9](?:\.[0-9]+)?|50(?:\.0+)?)$/;
const BOUND = /^0*(?:1?[0-9]|20)$/;
const FIELD = /[^ \t\r\n\f\v]+/g;
const FAILED = '{"error_message":"The upstream has failed.","results":[],"status":"UNKNOWN_ERROR"}';

const { values: options } = parseArgs({
  options: {
    id: { type: 'string' },
    listen: { type: 'string' },
    peer: { type: 'string', multiple: true, default: [] },
    upstream: { type: 'string' },
    log: { type: 'string' },
  },
});

// Times are pairs of seconds and nanoseconds, since a double holds no nanoseconds of this century.
const origin = BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint();
const [originSeconds, originNanos] = [Number(origin / 1_000_000_000n), Number(origin % 1_000_000_000n)];

function now() {
  const [seconds, nanos] = process.hrtime();
  const sum = originNanos + nanos;
  return sum < 1e9 ? [originSeconds + seconds, sum] : [originSeconds + seconds + 1, sum - 1e9];
}

function moment(text) {
  const point = text.indexOf('.');
  if (point < 0) return [Number(text), 0];
  return [Number(text.slice(0, point)), Number(text.slice(point + 1).padEnd(9, '0'))];
}

function skew(server, client) {
  let seconds = server[0] - client[0];
  let nanos = server[1] - client[1];
  const isNegative = seconds < 0 || (seconds === 0 && nanos < 0);
  if (isNegative) [seconds, nanos] = [-seconds, -nanos];
  if (nanos < 0) [seconds, nanos] = [seconds - 1, nanos + 1e9];
  return `${isNegative ? '-' : '+'}${seconds}.${String(nanos).padStart(9, '0')}`;
}

// The document with its first results, every byte of them as it came; and how many those are.
function cut(body, bound) {
  const text = body.replace(/^[\r\n]+|[\r\n]+$/g, '').replace(/\n[\r\n]+/g, '\n');
  const array = /"results"\s*:\s*\[/.exec(text);
  const start = array.index + array[0].length;
  let [depth, count, head, end, at] = [0, 0, start, start, start];
  for (; ; at += 1) {
    const letter = text[at];
    if (letter === undefined) throw new Error('the document breaks off');
    if (letter === ' ' || letter === '\n' || letter === '\r' || letter === '\t') continue;
    if (depth === 0 && (letter === ',' || letter === ']')) {
      if (end > start) count += 1;
      if (count <= bound) head = end;
      if (letter === ']') break;
      continue;
    }
    if (letter === '"') {
      for (at += 1; at < text.length && text[at] !== '"'; at += 1) if (text[at] === '\\') at += 1;
    }
    if (letter === '{' || letter === '[') depth += 1;
    if (letter === '}' || letter === ']') depth -= 1;
    end = at + 1;
  }
  if (bound === 0 && count > 0) [head, end] = [start, at];
  return [text.slice(0, head) + text.slice(end), Math.min(count, bound)];
}

// What the upstream is asked.
function target(location, radius) {
  const [, latitude, longitude] = LOCATION.exec(location);
  const metres = Math.max(Number((Number(radius) * 1000).toFixed(6)), 1);
  const query = `location=${Number(latitude)},${Number(longitude)}&radius=${metres}&key=bench`;
  return `/maps/api/place/nearbysearch/json?${query}`;
}

function address(text) {
  const colon = text.lastIndexOf(':');
  return { host: text.slice(0, colon), port: Number(text.slice(colon + 1)) };
}

// Lines wait in memory and are written some at a time, at the latest after a second.
const logFile = options.log ? fs.openSync(options.log, 'a') : undefined;
let logged = '';

function escape(letter) {
  return letter === '\\' ? '\\\\' : `\\x${letter.charCodeAt(0).toString(16).padStart(2, '0')}`;
}

// Of one batch: the first has the time.
function log(...lines) {
  if (logFile === undefined) return;
  const [seconds, nanos] = now();
  const micros = String(Math.floor(nanos / 1000)).padStart(6, '0');
  logged += `${new Date(seconds * 1000).toISOString().slice(0, 19)}.${micros}Z `;
  for (const line of lines) logged += `${line.replace(/[^ -[\]-~]/g, escape)}\n`;
  if (logged.length > LOG_BYTES) flushLog();
}

function flushLog() {
  if (logged) fs.writeSync(logFile, logged, null, 'latin1');
  logged = '';
}

module.exports = {
  BOUND,
  FAILED,
  FIELD,
  LOCATION,
  RADIUS,
  SKEW,
  TIMESTAMP,
  address,
  cut,
  flushLog,
  log,
  moment,
  now,
  options,
  skew,
  target,
};
