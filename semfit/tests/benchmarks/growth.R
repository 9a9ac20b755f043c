# lavaan's processor time for one case of growth.py, in milliseconds: Rscript growth.R <folder>
# The folder holds data.csv and case.json. Prints the time of sem() and that of its tables; of a bootstrap, and NaN.
library(jsonlite)
NEW <- Sys.getenv("LAVAAN_NEW")
suppressMessages(if (nzchar(NEW)) library(lavaan, lib.loc = NEW) else library(lavaan))
options(warn = -1)
folder <- commandArgs(trailingOnly = TRUE)[1]
case <- fromJSON(file.path(folder, "case.json"))
data <- read.csv(file.path(folder, "data.csv"))
arguments <- list(model = case$model, data = data, estimator = case$estimator, missing = if (case$gaps > 0) "ml" else
  "listwise")
if (case$groups > 1) arguments$group <- "g"
if (case$categories > 0) arguments$ordered <- lavNames(case$model, "ov")
processor <- function(expression) {
  time <- system.time(expression)
  1000 * (time[["user.self"]] + time[["sys.self"]])
}
fit <- do.call("sem", arguments)                     # not counted
if (case$draws > 0) {
  if (case$gaps > 0) {                               # bootstrapLavaan of 0.6-14 stops on some resamples with gaps
    set.seed(1)
    plain <- c(arguments, se = "none", test = "none", baseline = FALSE)
    one <- function() {
      plain$data <- data[sample(nrow(data), replace = TRUE), ]
      do.call("sem", plain)
    }
    few <- 20
    time <- processor(for (i in seq_len(few)) one()) * case$draws / few
  } else time <- processor(bootstrapLavaan(fit, R = case$draws, FUN = coef, iseed = 1))
  cat(time, NaN, "\n")
  quit(save = "no")
}
fits <- tables <- numeric()
for (i in seq_len(case$`repeat`)) {
  fits[i] <- processor(fit <- do.call("sem", arguments))
  tables[i] <- processor({
    parameterEstimates(fit, standardized = TRUE)
    standardizedSolution(fit)
    fitMeasures(fit)
  })
}
cat(median(fits), median(tables), "\n")
