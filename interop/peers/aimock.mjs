// `@copilotkit/aimock` with three answers: text, a function call, and what follows the call.
//
// Since 1.43.0 it refuses the beta as OpenAI does. 1.42.1, the last version that speaks it, is installed beside it as `aimock-beta`:
// `node aimock.mjs beta`. No version before 1.43.0 can be talked to as it is: the GUID of its handshake is not that of RFC 6455, so
// that each websocket library hangs up. That one line of its answer is put right on its way out; every event is the package's own.
import { createHash } from 'node:crypto';
import { Server } from 'node:http';

const beta = process.argv[2] === 'beta';
const { LLMock } = await import(beta ? 'aimock-beta' : '@copilotkit/aimock');

if (beta) {
  const emit = Server.prototype.emit;
  Server.prototype.emit = function upgraded(name, request, socket, ...more) {
    if (name === 'upgrade') {
      const guid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
      const accept = createHash('sha1').update(request.headers['sec-websocket-key'] + guid).digest('base64');
      const write = socket.write.bind(socket);
      socket.write = (data, ...rest) => {
        const head = typeof data === 'string' && data.startsWith('HTTP/1.1 101');
        return write(head ? data.replace(/Sec-WebSocket-Accept: .*/, `Sec-WebSocket-Accept: ${accept}`) : data, ...rest);
      };
    }
    return emit.call(this, name, request, socket, ...more);
  };
}

const mock = new LLMock({ port: 0, host: '127.0.0.1', logLevel: 'warn' });
mock.on({ hasToolResult: true, userMessage: /weather/i }, { content: 'It is so.' });
mock.onMessage(/weather/i, { toolCalls: [{ name: 'weather', arguments: '{"place":"Rome"}' }] });
mock.onMessage(/./, { content: 'I am a mock.' });
const url = await mock.start();
process.stdout.write(JSON.stringify({ port: Number(new URL(url).port) }) + '\n');
process.stdin.resume();
process.stdin.on('end', async () => {
  await mock.stop();
  process.exit(0);
});
