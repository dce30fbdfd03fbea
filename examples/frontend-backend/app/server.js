// Prints the address that the database sees this application at.
const http = require('node:http');
const { Pool } = require('pg');

const pool = new Pool();

const server = http.createServer(async (request, response) => {
  try {
    const { rows } = await pool.query('SELECT inet_client_addr() AS me');
    response.end(`the database sees ${rows[0].me}\n`);
  } catch (error) {
    response.writeHead(500).end(error.message + '\n');
  }
});

process.on('SIGTERM', () => server.close(() => pool.end()));
server.listen(3000);
