import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import org.opencv.core.Core;
import org.opencv.core.CvType;
import org.opencv.core.Mat;
import org.opencv.dnn.Dnn;
import org.opencv.dnn.Net;

/**
 * Runs an ONNX file by the Java binding of OpenCV, as QuPath does: MODEL IMAGE HEIGHT WIDTH ANSWER.
 *
 * <p>Image and answer are raw single precision, little-endian, (1, channels, rows, columns); the sizes of the
 * answer go to standard output, after the version of OpenCV.
 */
public class OpenCvReader {
  public static void main(String[] words) throws Exception {
    System.loadLibrary(Core.NATIVE_LIBRARY_NAME);
    Net net = Dnn.readNetFromONNX(words[0]);
    ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(Path.of(words[1]))).order(ByteOrder.LITTLE_ENDIAN);
    float[] pixels = new float[bytes.remaining() / Float.BYTES];
    bytes.asFloatBuffer().get(pixels);
    int height = Integer.parseInt(words[2]);
    int width = Integer.parseInt(words[3]);
    Mat image = new Mat(new int[] {1, pixels.length / height / width, height, width}, CvType.CV_32F);
    image.put(new int[] {0, 0, 0, 0}, pixels);
    net.setInput(image);
    Mat answer = net.forward();
    float[] found = new float[(int) answer.total()];
    answer.get(new int[] {0, 0, 0, 0}, found);
    ByteBuffer out = ByteBuffer.allocate(found.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    out.asFloatBuffer().put(found);
    Files.write(Path.of(words[4]), out.array());
    System.out.println(Core.VERSION);
    for (int axis = 0; axis < 4; axis++) {
      System.out.println(answer.size(axis));
    }
  }
}
