// Keys and values: PUT /KEY stores the body, GET /KEY gives it.
const http = require('node:http');
const { Pool } = require('pg');

const pool = new Pool();

const answer = async (request, response) => {
  const key = request.url.slice(1);
  if (request.method === 'PUT') {
    let text = '';
    for await (const part of request) text += part;
    await pool.query('INSERT INTO pair VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = $2', [key, text]);
    return response.writeHead(204).end();
  }
  if (key === '') return response.end('ready\n');
  const { rows } = await pool.query('SELECT value FROM pair WHERE key = $1', [key]);
  if (rows.length === 0) return response.writeHead(404).end('no such key\n');
  return response.end(rows[0].value);
};

const server = http.createServer((request, response) =>
  answer(request, response).catch((error) => response.writeHead(500).end(error.message)));

process.on('SIGTERM', () => server.close(() => pool.end()));
pool.query('CREATE TABLE IF NOT EXISTS pair (key text PRIMARY KEY, value text NOT NULL)').then(() => server.listen(3000));
