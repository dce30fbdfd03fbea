import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.concurrent.Executors;

/** A guest book: GET / prints it, POST / adds its body. */
public class Guests {
  static Connection connect() throws SQLException, IOException {
    String password = Files.readString(Path.of(System.getenv("JDBC_PASSWORD_FILE"))).trim();
    return DriverManager.getConnection(System.getenv("JDBC_URL"), System.getenv("JDBC_USER"), password);
  }

  static String answer(HttpExchange request) throws SQLException, IOException {
    try (Connection db = connect()) {
      if (request.getRequestMethod().equals("POST")) {
        try (var insert = db.prepareStatement("INSERT INTO guest (name) VALUES (?)")) {
          insert.setString(1, new String(request.getRequestBody().readAllBytes()).trim());
          insert.executeUpdate();
        }
      }
      var text = new StringBuilder();
      try (var select = db.createStatement(); var rows = select.executeQuery("SELECT id, name FROM guest ORDER BY id")) {
        while (rows.next()) text.append(rows.getInt(1)).append(". ").append(rows.getString(2)).append('\n');
      }
      return text.toString();
    }
  }

  public static void main(String[] args) throws Exception {
    try (Connection db = connect(); var create = db.createStatement()) {
      create.execute("CREATE TABLE IF NOT EXISTS guest (id serial PRIMARY KEY, name text NOT NULL)");
    }
    HttpServer server = HttpServer.create(new InetSocketAddress(8080), 0);
    server.setExecutor(Executors.newFixedThreadPool(8));
    server.createContext("/", request -> {
      int status = 200;
      String text;
      try {
        text = answer(request);
      } catch (SQLException e) {
        status = 500;
        text = e.getMessage() + "\n";
      }
      byte[] body = text.getBytes();
      request.sendResponseHeaders(status, body.length == 0 ? -1 : body.length);
      request.getResponseBody().write(body);
      request.close();
    });
    server.start();
    System.out.println("listening on 8080");
  }
}
