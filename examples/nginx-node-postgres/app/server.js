// A list of notes in PostgreSQL: GET / prints them, POST / adds its body, GET /health asks the database.
const fs = require('node:fs');
const http = require('node:http');
const { Pool } = require('pg');

const pool = new Pool({ password: fs.readFileSync(process.env.PGPASSWORD_FILE, 'utf8').trim() });

const text = async (request) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString().trim();
};

const answer = async (request) => {
  if (request.url === '/health') {
    await pool.query('SELECT 1');
    return 'healthy\n';
  }
  if (request.method === 'POST') {
    await pool.query('INSERT INTO note (body) VALUES ($1)', [await text(request)]);
  }
  const { rows } = await pool.query('SELECT id, body FROM note ORDER BY id');
  return rows.map(({ id, body }) => `${id}. ${body}\n`).join('');
};

const server = http.createServer(async (request, response) => {
  try {
    response.end(await answer(request));
  } catch (error) {
    console.error(error.message);
    response.writeHead(500).end('the database does not answer\n');
  }
  console.log(request.method, request.url, response.statusCode);
});

const main = async () => {
  await pool.query('CREATE TABLE IF NOT EXISTS note (id serial PRIMARY KEY, body text NOT NULL)');
  server.listen(process.env.PORT, () => console.log(`listening on ${process.env.PORT}`));
};

// Idle connections break when the database restarts; the pool makes new ones.
pool.on('error', (error) => console.error(error.message));
process.on('SIGTERM', () => server.close(() => pool.end()));
main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
