# The experiments of docs/results.md: `sh docs/results.sh IMAGES PHOTOS MODELS`, in the source directory.
#
# IMAGES has images with object masks and labels.csv, PHOTOS has images with labels.csv, MODELS has the weights.
# Run it again to resume. It takes about seven hours of one CPU core; several commands can run at the same time with
# the same store.
set -e
export PYTHONPATH=docs OMP_NUM_THREADS=1

images="--data $1 --shuffle-seed 0 --store results.db"
photos="--data $2 --shuffle-seed 0 --limit 60 --store photos.db"

resnet="--model torchvision:resnet50 --weights torchvision:resnet50=$3/resnet50.pt --precision bfloat16"
squeezenet="--model torchvision:squeezenet1_1 --weights torchvision:squeezenet1_1=$3/squeezenet1_1.pt \
    --preprocess torchvision:squeezenet1_1=caffe,crop=227 --precision float32"
deit="--model deit:deit_tiny --weights deit:deit_tiny=$3/deit_tiny.pt --precision float32"
lite="--model lite0 --precision float32"

all="--maskings black,grey,neighbor,layer-zero,layer"
some="--maskings black,grey,neighbor,layer"
three="--maskings black,grey,layer"
two="--maskings grey,layer"
thresholds="layer-threshold:0.1,layer-threshold:0.2,layer-threshold:0.3"
samples="--set samples=256 --set sampling=orthogonal"
evaluate() { xai-layermask evaluate "$@"; }

for segments in patches:16 slic:100 quickshift; do
    evaluate robustness $images --limit 40 $resnet $all --segments $segments
    evaluate robustness $images --limit 40 $lite $all --segments $segments
    evaluate robustness $images --limit 40 $squeezenet $all --segments $segments
    evaluate robustness $images --limit 40 $deit $some --segments $segments
done
evaluate robustness $photos $resnet $all --segments patches:16
evaluate robustness $photos $lite $all --segments patches:16
evaluate robustness $photos $squeezenet $all --segments patches:16
evaluate robustness $photos $deit $some --segments patches:16

evaluate lime $images --limit 60 $resnet $two --segments patches:16,slic:250,quickshift $samples
evaluate lime $images --limit 60 $resnet --maskings black,neighbor --segments patches:16 $samples
evaluate lime $images --limit 56 $lite $two --segments patches:16,slic:250,quickshift $samples

for model in "$resnet" "$lite" "$squeezenet" "$deit"; do
    evaluate mask-shape $images $model $all
done

evaluate linearity $images --limit 6 $resnet $three
evaluate linearity $images --limit 6 $lite $three
evaluate linearity $images --limit 6 $squeezenet $three
evaluate linearity $images --limit 6 $deit $three

evaluate collapse $images --limit 30 $resnet $all
evaluate collapse $images --limit 30 $lite $all
evaluate collapse $images --limit 30 $squeezenet $all
evaluate collapse $images --limit 30 $deit $some

evaluate ablation $images --limit 40 $resnet --segments patches:16 --set removals=none \
    --maskings layer,layer-zero,partial,layer-until:conv1,layer-until:layer2,$thresholds
evaluate ablation $images --limit 16 $lite --segments patches:16 --set samples=128 --maskings layer,$thresholds

evaluate colours $photos --limit 30 $lite

xai-layermask report results.db --out results
xai-layermask report photos.db --out results/photos
