const assert = require('node:assert');
const test = require('node:test');

const api = process.env.API;

test('a value is there once it is stored', async () => {
  assert.equal((await fetch(`${api}/colour`, { method: 'PUT', body: 'green' })).status, 204);
  assert.equal(await (await fetch(`${api}/colour`)).text(), 'green');
});

test('a key that nobody stored is not found', async () => {
  assert.equal((await fetch(`${api}/nothing`)).status, 404);
});

test('a test that fails on demand', async () => {
  assert.equal(process.env.FAIL, '');
});
