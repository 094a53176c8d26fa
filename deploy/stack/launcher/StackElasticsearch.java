import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;

/**
 * Runs one Elasticsearch node in the foreground until it is told to stop.
 *
 * Elasticsearch's own main class reads a binary start-up record from its standard input, which its shell
 * launcher writes; the node itself needs only a home (es.path.home) and a folder of settings (es.path.conf).
 * For development: no bootstrap checks, no entitlements, no security.
 */
public final class StackElasticsearch {
    public static void main(String[] arguments) {
        try {
            run(System.getProperty("es.path.home"), Path.of(System.getProperty("es.path.conf")));
        } catch (Throwable failure) {
            failure.printStackTrace();
            System.exit(1);
        }
    }

    private static void run(String home, Path settings) throws Exception {
        LogConfigurator.configureESLogging();
        Environment environment = InternalSettingsPreparer.prepareEnvironment(
            Settings.builder().put("path.home", home).build(), Map.of(), settings, () -> "stack");
        LogConfigurator.setNodeName(Node.NODE_NAME_SETTING.get(environment.settings()));
        LogConfigurator.configure(environment, false);
        PluginsLoader plugins = PluginsLoader.createPluginsLoader(
            PluginsLoader.loadModulesBundles(environment.modulesDir()),
            PluginsLoader.loadPluginsBundles(environment.pluginsDir()),
            Map.of(),
            false);
        Node node = new Node(environment, plugins);
        CountDownLatch stopped = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                node.prepareForClose();
                node.close();
                node.awaitClose(20, TimeUnit.SECONDS);
            } catch (Exception failure) {
                failure.printStackTrace();
            } finally {
                stopped.countDown();
            }
        }, "stop"));
        node.start();
        stopped.await();
    }
}
