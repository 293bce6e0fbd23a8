// `@copilotkit/aimock` with three answers: text, a function call, and what follows the call.
import { LLMock } from '@copilotkit/aimock';

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
