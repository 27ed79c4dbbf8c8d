# What docs/results.md reports: `sh docs/results.sh IMAGES MODELS`, in the folder of the source.
#
# IMAGES holds pictures with object masks and labels.csv, MODELS the weights. Started again, it goes on where it was. It
# took about 80 minutes, two commands at a time, on two busy cores.
set -e
export PYTHONPATH=docs OMP_NUM_THREADS=1

images="--data $1 --shuffle-seed 0 --store results.db"

resnet="--model torchvision:resnet50 --weights torchvision:resnet50=$2/resnet50.pt --precision bfloat16"
squeezenet="--model torchvision:squeezenet1_1 --weights torchvision:squeezenet1_1=$2/squeezenet1_1.pt \
    --preprocess torchvision:squeezenet1_1=caffe,crop=227 --precision float32"
deit="--model deit:deit_tiny --weights deit:deit_tiny=$2/deit_tiny.pt --precision float32"
lite="--model lite0 --precision float32"

all="--maskings black,grey,neighbor,layer-zero,layer"
some="--maskings black,grey,neighbor,layer"
evaluate() { xai-layermask evaluate "$@"; }

evaluate robustness $images --limit 40 $resnet $all --segments patches:16
evaluate robustness $images --limit 40 $lite $all --segments patches:16,slic:100
evaluate robustness $images --limit 40 $squeezenet $all --segments patches:16
evaluate robustness $images --limit 40 $deit $some --segments patches:16
evaluate mask-shape $images $resnet $all
evaluate mask-shape $images $lite $all
evaluate mask-shape $images $squeezenet $all
evaluate mask-shape $images $deit $all
evaluate lime $images --limit 56 $lite --maskings grey,layer --segments patches:16 --set samples=100
evaluate lime $images $squeezenet --maskings grey,layer --segments patches:16 --set samples=100
evaluate linearity $images --limit 4 $squeezenet --maskings black,grey,layer
evaluate collapse $images --limit 30 $squeezenet $all
evaluate ablation $images --limit 12 $squeezenet --segments patches:16 --set samples=64 \
    --maskings layer,layer-zero,layer-threshold:0.1,layer-threshold:0.3

xai-layermask report results.db --out results
