import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;

/** A token store as CData's drivers see one: a name, and methods that are looked for in it. */
final class ReflectedStore {
    private final Object store;
    private final Method read;
    private final Method write;
    private final Method acquire;
    private final Method release;

    ReflectedStore(String factoryName, String context) throws ReflectiveOperationException {
        Object factory = Class.forName(factoryName).getConstructor().newInstance();
        store = factory.getClass().getMethod("getStore", String.class).invoke(factory, context);
        Class<?> found = store.getClass();
        read = found.getMethod("readToken", String.class);
        write = found.getMethod("writeToken", String.class, String.class);
        acquire = found.getMethod("acquireLock", String.class, int.class);
        release = found.getMethod("releaseLock", String.class);
    }

    String readToken(String name) {
        return (String) called(read, name);
    }

    void writeToken(String name, String value) {
        called(write, name, value);
    }

    void acquireLock(String name, int maxWait) {
        called(acquire, name, maxWait);
    }

    void releaseLock(String name) {
        called(release, name);
    }

    private Object called(Method method, Object... arguments) {
        try {
            return method.invoke(store, arguments);
        } catch (InvocationTargetException thrown) {
            throw (RuntimeException) thrown.getCause();
        } catch (IllegalAccessException notPublic) {
            throw new IllegalStateException(notPublic);
        }
    }
}
