import { createServer } from 'node:net';

/** Takes whatever comes, and says one byte when all of it is there. `node sink.ts PORT` */
createServer({ allowHalfOpen: true }, (socket) => {
  socket.on('error', () => {});
  socket.resume();
  socket.on('end', () => socket.end('.'));
}).listen(Number(process.argv[2]));
